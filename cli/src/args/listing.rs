//! The form of what is said about a server, its topics or a bench: for people or for programs.

use clap::Args;

/// In which form.
#[derive(Debug, Args)]
pub(crate) struct ListingArgs {
    /// What to write
    #[arg(long, short, value_enum, default_value_t = Listing::Text)]
    pub(crate) output: Listing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Listing {
    /// For people
    Text,
    /// JSON, an object a line
    Json,
}
