//! What `footman top` is told.

use std::time::Duration;

use clap::Args;

use crate::args::listing::Listing;
use crate::quantity::parse_duration;
use crate::screen::order::Order;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman top
  footman top orders. --sort lag
  footman top --once
  footman top --output json | jq '.subscriptions[] | select(.lost > 0)'

Keys: q quit, ↑ ↓ select a topic, whose subscriptions are shown below, s next
sort, r reverse, p pause.

Headroom is how long it takes, at the present rate, until one of the subscriptions
loses records. LOST counts from a subscription's start.
Without a terminal, or with --once or JSON, it writes one table and ends.")]
pub(crate) struct TopArgs {
    /// Only topics whose names begin so
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// How often to look; rates are over this time
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub(crate) interval: Duration,
    /// The order of the topics
    #[arg(long, value_enum, default_value_t = Order::Rate)]
    pub(crate) sort: Order,
    /// Write one table and end
    #[arg(long)]
    pub(crate) once: bool,
    /// What to write; JSON is one object, once
    #[arg(long, short, value_enum, default_value_t = Listing::Text)]
    pub(crate) output: Listing,
}
