//! In which order topics come.

use crate::activity::TopicActivity;

/// By what topics are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// By name
    Name,
    /// Most records appended a second first
    Rate,
    /// Furthest behind first
    Lag,
    /// Most lost first
    Lost,
    /// Soonest to lose records first
    Headroom,
    /// Most memory first
    Memory,
}

impl Order {
    const ALL: [Order; 6] = [
        Order::Name,
        Order::Rate,
        Order::Lag,
        Order::Lost,
        Order::Headroom,
        Order::Memory,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Order::Name => "name",
            Order::Rate => "rate",
            Order::Lag => "lag",
            Order::Lost => "lost",
            Order::Headroom => "headroom",
            Order::Memory => "memory",
        }
    }

    /// The one that comes after it, round and round.
    pub(super) fn next(self) -> Order {
        let place = Order::ALL.iter().position(|order| *order == self);
        Order::ALL[(place.unwrap_or_default() + 1) % Order::ALL.len()]
    }

    /// Puts `topics` in this order; of the same rank, by name.
    pub(crate) fn sort(self, topics: &mut [TopicActivity]) {
        topics.sort_by(|a, b| a.topic.name.cmp(&b.topic.name));
        match self {
            Order::Name => {}
            Order::Rate => topics.sort_by(|a, b| b.records_rate.total_cmp(&a.records_rate)),
            Order::Lag => topics.sort_by_key(|topic| std::cmp::Reverse(topic.lag)),
            Order::Lost => topics.sort_by_key(|topic| std::cmp::Reverse(topic.lost)),
            Order::Headroom => topics.sort_by_key(|topic| {
                let time = topic.headroom.and_then(|headroom| headroom.time);
                (time.is_none(), time, topic.headroom.is_none())
            }),
            Order::Memory => {
                topics.sort_by_key(|topic| std::cmp::Reverse(topic.topic.memory_bytes));
            }
        }
    }
}
