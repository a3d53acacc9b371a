//! The list of shaders that the tests run through a second driver, with their definitions.

pub(super) fn text() -> String {
    String::new()
}
