//! stub
use super::Picture;
use crate::error::Result;
/// d
pub fn text(picture: &Picture, width: usize) -> Result<String> {
    let _ = width;
    Ok(picture.title.clone())
}
