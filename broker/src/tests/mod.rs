//! loom models: `RUSTFLAGS="--cfg loom" cargo test -p footman-broker --lib --release loom`.
//!
//! Each ordering that a model guards has a twin (`--cfg loom_twin="..."`, listed in `loom-twins.txt`)
//! that weakens it, and that the model must fail.

mod loom_wait;
