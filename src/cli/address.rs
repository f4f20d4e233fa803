//! The address of a gRPC server on the command line: `http://host:port` or `https://host:port`, and
//! nothing more.

use std::{fmt, str::FromStr};

use http::Uri;
use tonic::transport::Endpoint;

/// A gRPC server, with TLS or without.
#[derive(Clone, Debug)]
pub(crate) struct Address(Uri);

/// Why a text is no address for us.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("credentials do not belong in an address")]
    Credentials,
    #[error("the admin port has no TLS: write http")]
    Https,
    #[error("an address ends after the port, without path or query")]
    Path,
    #[error("not an address such as http://127.0.0.1:50051")]
    Unreadable,
}

impl Address {
    /// Reads the address of a server without TLS.
    pub(crate) fn plaintext(text: &str) -> Result<Self, AddressError> {
        let address: Self = text.parse()?;
        if address.is_tls() { Err(AddressError::Https) } else { Ok(address) }
    }

    /// Whether the server speaks TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// What tonic connects to.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.0.clone())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(|_| AddressError::Unreadable)?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(AddressError::Unreadable),
        }
        let authority = uri.authority().ok_or(AddressError::Unreadable)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(AddressError::Unreadable);
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(AddressError::Path);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or("http"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let cases = [
            ("http://127.0.0.1:50051", Ok("http://127.0.0.1:50051")),
            ("http://[::1]:50051/", Ok("http://[::1]:50051")),
            ("http://gateway", Ok("http://gateway")),
            ("HTTP://gateway:1", Ok("http://gateway:1")),
            ("https://gateway:443", Ok("https://gateway:443")),
            ("https://[::1]", Ok("https://[::1]")),
            ("https://user:secret@gateway", Err(AddressError::Credentials)),
            ("127.0.0.1:50051", Err(AddressError::Unreadable)),
            ("gateway", Err(AddressError::Unreadable)),
            ("ftp://gateway", Err(AddressError::Unreadable)),
            ("http://", Err(AddressError::Unreadable)),
            ("http://:50051", Err(AddressError::Unreadable)),
            ("", Err(AddressError::Unreadable)),
            ("http://user:secret@gateway", Err(AddressError::Credentials)),
            ("http://gateway/v1", Err(AddressError::Path)),
            ("http://gateway/?x=1", Err(AddressError::Path)),
        ];
        for (text, expected) in cases {
            let address = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(address, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn the_admin_port_has_no_tls() {
        assert_eq!(Address::plaintext("https://gateway").err(), Some(AddressError::Https));
        assert!(!Address::plaintext("http://gateway").unwrap().is_tls());
        assert!("HTTPS://gateway".parse::<Address>().unwrap().is_tls());
    }
}
