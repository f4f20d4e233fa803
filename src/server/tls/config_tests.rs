use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// A certificate and its key.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2040, 2, 3);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn read(texts: &[&str]) -> Result<(ServerConfig, Option<Timestamp>), FileError> {
    let names = ["cert.pem", "key.pem", "ca.pem"].into_iter().zip(texts);
    let file = |(name, text): (&str, &&str)| File {
        path: name.into(),
        bytes: text.as_bytes().to_vec().into(),
    };
    parse(&names.map(file).collect::<Vec<_>>())
}

#[test]
fn a_good_pair_is_for_h2_without_resumption_and_its_end_is_known() {
    let (certificate, key) = pair();
    for texts in [&[&*certificate, &key][..], &[&certificate, &key, &certificate]] {
        let (config, end) = read(texts).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2"]);
        assert_eq!(config.send_tls13_tickets, 0);
        assert!(!config.session_storage.can_cache());
        assert_eq!(end, Some("2040-02-03T00:00:00Z".parse().unwrap()));
    }
}

#[test]
fn what_is_wrong_is_said_of_the_right_file_and_without_a_word_of_it() {
    let ((certificate, key), (_, other_key)) = (pair(), pair());
    let secret = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unended = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    for (texts, file, part) in [
        (&["", &*key][..], "cert.pem", "no certificate"),
        (&[&key, &key], "cert.pem", "no certificate"),
        (&[unended, &key], "cert.pem", "no PEM"),
        (&[no_certificate, &key], "cert.pem", ""),
        (&[&certificate, ""], "key.pem", "no readable private key"),
        (&[&certificate, &certificate], "key.pem", "no readable private key"),
        (&[&certificate, secret], "key.pem", ""),
        (&[&certificate, &other_key], "key.pem", "another certificate"),
        (&[&certificate, &key, ""], "ca.pem", "no certificate"),
        (&[&certificate, &key, no_certificate], "ca.pem", ""),
    ] {
        let error = read(texts).err().unwrap().to_string();
        assert!(error.starts_with(file) && error.contains(part), "{file} {part}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
