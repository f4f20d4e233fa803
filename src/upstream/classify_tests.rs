use super::*;

use ErrorKind as K;

/// Every HTTP status with the kind that stands for it, as ranges.
const STATUSES: [(u16, u16, ErrorKind); 52] = [
    (100, 299, K::MalformedResponse),
    (300, 399, K::Redirect),
    (400, 400, K::RejectedRequest),
    (401, 401, K::CredentialsRejected),
    (402, 402, K::PreconditionFailed),
    (403, 403, K::PermissionDenied),
    (404, 404, K::JobNotFound),
    (405, 405, K::NotImplemented),
    (406, 407, K::RefusedRequest),
    (408, 408, K::Unavailable),
    (409, 409, K::Conflict),
    (410, 410, K::JobExpired),
    (411, 411, K::RefusedRequest),
    (412, 412, K::PreconditionFailed),
    (413, 414, K::RejectedRequest),
    (415, 415, K::RefusedRequest),
    (416, 416, K::OutOfRange),
    (417, 417, K::RefusedRequest),
    (418, 421, K::PreconditionFailed),
    (422, 422, K::RejectedRequest),
    (423, 424, K::PreconditionFailed),
    (425, 425, K::Unavailable),
    (426, 426, K::RefusedRequest),
    (427, 428, K::PreconditionFailed),
    (429, 429, K::Throttled),
    (430, 430, K::PreconditionFailed),
    (431, 431, K::RejectedRequest),
    (432, 450, K::PreconditionFailed),
    (451, 451, K::PreconditionFailed),
    (452, 493, K::PreconditionFailed),
    (494, 494, K::PreconditionFailed),
    (495, 498, K::PreconditionFailed),
    (499, 499, K::Unavailable),
    (500, 500, K::Internal),
    (501, 501, K::NotImplemented),
    (502, 504, K::Unavailable),
    (505, 505, K::RefusedRequest),
    (506, 519, K::Internal),
    (520, 520, K::Unavailable),
    (521, 521, K::Unavailable),
    (522, 522, K::Unavailable),
    (523, 523, K::Unavailable),
    (524, 524, K::Unavailable),
    (525, 525, K::Unavailable),
    (526, 526, K::Unavailable),
    (527, 527, K::Unavailable),
    (528, 528, K::Internal),
    (529, 529, K::Unavailable),
    (530, 530, K::Unavailable),
    (531, 560, K::Internal),
    (561, 561, K::Internal),
    (562, 599, K::Internal),
];

#[test]
fn every_http_status_has_its_kind() {
    let mut next = 100;
    for (first, last, kind) in STATUSES {
        assert_eq!(first, next, "the table has a gap or an overlap");
        for status in first..=last {
            assert_eq!(by_status(status, Body::Json), kind, "{status}");
        }
        next = last + 1;
    }
    assert_eq!(next, 600);
}

#[test]
fn a_404_that_is_not_the_services_own_is_a_wrong_route() {
    assert_eq!(by_status(404, Body::Empty), K::JobNotFound);
    assert_eq!(by_status(404, Body::Json), K::JobNotFound);
    assert_eq!(by_status(404, Body::Other), K::RouteNotFound);
}

/// The codes that say more than their HTTP status.
const SPEAKING: [(&str, ErrorKind); 40] = [
    ("common.0011", K::JobNotFound),
    ("itemNotFound", K::JobNotFound),
    ("common.0013", K::CredentialsRejected),
    ("EVS.0002", K::CredentialsRejected),
    ("VolumeBackup.0044", K::CredentialsRejected),
    ("APIG.0301", K::CredentialsRejected),
    ("APIG.0303", K::CredentialsRejected),
    ("APIG.0305", K::CredentialsRejected),
    ("APIG.0307", K::CredentialsRejected),
    ("common.0018", K::PermissionDenied),
    ("Ecs.0023", K::PermissionDenied),
    ("VolumeBackup.0041", K::PermissionDenied),
    ("VolumeBackup.0042", K::PermissionDenied),
    ("EVS.0003", K::PermissionDenied),
    ("APIG.0302", K::PermissionDenied),
    ("APIG.0304", K::PermissionDenied),
    ("APIG.0306", K::PermissionDenied),
    ("APIG.0310", K::PermissionDenied),
    ("APIG.0401", K::PermissionDenied),
    ("APIG.0402", K::PermissionDenied),
    ("APIG.0404", K::PermissionDenied),
    ("APIG.0405", K::PermissionDenied),
    ("APIG.0802", K::PermissionDenied),
    ("APIG.0101", K::RouteNotFound),
    ("APIG.0308", K::Throttled),
    ("common.0024", K::Throttled),
    ("common.1503", K::Throttled),
    ("overLimit", K::Throttled),
    ("overLimitFault", K::Throttled),
    ("APIG.0501", K::QuotaExceeded),
    ("APIG.0502", K::QuotaExceeded),
    ("common.0021", K::Unavailable),
    ("common.0022", K::Unavailable),
    ("common.0025", K::Unavailable),
    ("VolumeBackup.0900", K::Unavailable),
    ("APIG.0202", K::Unavailable),
    ("APIG.0203", K::Unavailable),
    ("APIG.0610", K::Unavailable),
    ("APIG.0613", K::Unavailable),
    ("apigw.0613", K::Unavailable),
];

#[test]
fn speaking_codes_are_known_in_any_case_and_spelling() {
    for (code, kind) in SPEAKING {
        for spelling in [
            code.to_owned(),
            code.to_lowercase(),
            code.to_uppercase(),
            code.replace("APIG.", "APIGW."),
            format!(" {code} "),
        ] {
            assert_eq!(by_code(&spelling), Some(kind), "{spelling}");
        }
    }
}

/// The documented codes of VBS, policies, the job manager and the gateway that leave the meaning
/// to the HTTP status.
#[test]
fn all_other_documented_codes_leave_it_to_the_http_status() {
    let volume_backup = (2..=13)
        .chain([14])
        .chain(17..=30)
        .chain(35..=40)
        .chain([43, 49, 50, 53, 62, 63, 64])
        .chain(70..=84)
        .chain([89])
        .chain(100..=105)
        .chain([109, 110, 111, 113, 123, 125])
        .chain(200..=211);
    let auto_backup = (0..=3)
        .chain([5, 6, 8, 9])
        .chain(100..=107)
        .chain(203..=211)
        .chain(213..=218)
        .chain([220, 221, 222, 225, 226, 1100, 1300, 1400, 1700, 9002]);
    let common = [1, 20, 999];
    let gateway =
        [103, 104, 105, 106, 107, 201, 204, 205, 601, 602, 605, 606, 607, 608, 609, 611, 612, 705];
    let codes = volume_backup
        .map(|number| format!("VolumeBackup.{number:04}"))
        .chain(auto_backup.map(|number| format!("AutoBackup.{number:04}")))
        .chain(common.map(|number| format!("Common.{number:04}")))
        .chain(gateway.map(|number| format!("APIGW.{number:04}")))
        .chain(["SFS.TURBO.0019", "Ecs.1000", "111401001", "401", ""].map(str::to_owned));
    for code in codes {
        assert_eq!(by_code(&code), None, "{code}");
    }
}
