//! The fuzz targets of the protocol, for libFuzzer. Run them with `run.sh`.

mod targets;

pub use targets::*;
