//! Labels from closed lists: names and values are words of our own.

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

/// So many labels, each its name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Labels<const N: usize>(pub(super) [(&'static str, &'static str); N]);

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, mut encoder: LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.iter().try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

/// One label.
pub(super) const fn label(name: &'static str, value: &'static str) -> Labels<1> {
    Labels([(name, value)])
}
