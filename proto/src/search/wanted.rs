//! Which of the names that a search can find are asked for.

use alloc::string::String;

use super::is_pattern;

/// A type, and whether patterns count. The default: everything.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// With its colon.
    type_: Option<String>,
    only_names: bool,
}

impl Wanted {
    /// Names and patterns of this type; of every type, if there is none.
    pub fn of_type(type_: Option<&str>) -> Self {
        Self { type_: type_.map(|type_| [type_, ":"].concat()), only_names: false }
    }

    /// The same without patterns.
    #[must_use]
    pub fn only_names(self) -> Self {
        Self { only_names: true, ..self }
    }

    /// Whether a text is asked for. `*` is of every type.
    pub(super) fn includes(&self, text: &str) -> bool {
        let is_of_type = self.type_.as_ref().is_none_or(|type_| text.starts_with(type_.as_str()) || text == "*");
        is_of_type && !(self.only_names && is_pattern(text))
    }
}
