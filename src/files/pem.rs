//! Certificates and keys, as PEM files have them.

use std::sync::Arc;

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::{File, FileError};

impl File {
    /// All certificates of the file, of which there must be one at least.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let all =
            all.map_err(|_| FileError::content(self, &"there is a certificate that is no PEM"))?;
        if all.is_empty() {
            return Err(FileError::content(self, &"there is no certificate in PEM"));
        }
        Ok(all)
    }

    /// The same, as authorities that are trusted.
    pub fn authorities(&self) -> Result<Arc<RootCertStore>, FileError> {
        let mut roots = RootCertStore::empty();
        for authority in self.certificates()? {
            roots.add(authority).map_err(|error| FileError::content(self, &error))?;
        }
        Ok(Arc::new(roots))
    }

    /// The private key. What is wrong with one is not told: the parser's own words may quote it.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, FileError> {
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|_| FileError::content(self, &"there is no readable private key in PEM"))
    }
}
