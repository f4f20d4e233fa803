//! What the fuzz targets reach of this room.

use super::{Rules, file};
use crate::files::File;

/// Reads a file of rules, or says in one line what is wrong with it.
pub(crate) fn rules(bytes: &[u8]) -> Result<Rules, String> {
    let file = File { path: "callers.toml".into(), bytes: bytes.to_vec().into() };
    file::parse(&file).map_err(|error| error.to_string())
}
