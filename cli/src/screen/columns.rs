//! What is said about a topic and a subscription: columns, their words, and how many fit.

use std::time::Duration;

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row};

use crate::activity::{Headroom, SubscriptionActivity, TopicActivity};
use crate::quantity::{format_bytes, format_count, format_duration, format_rate};

/// What there is to say about a topic, the most important first.
pub(super) const TOPIC_COLUMNS: [(&str, u16); 9] = [
    ("TOPIC", 14),
    ("RECORDS", 9),
    ("LAG", 9),
    ("LOST", 9),
    ("HEADROOM", 10),
    ("SUBS", 5),
    ("BYTES", 11),
    ("KEPT", 11),
    ("MEMORY", 10),
];

/// And about a subscription.
pub(super) const SUBSCRIPTION_COLUMNS: [(&str, u16); 6] = [
    ("SUBSCRIPTION", 14),
    ("RECORDS", 9),
    ("LAG", 9),
    ("LOST", 9),
    ("HEADROOM", 10),
    ("NEXT OFFSET", 13),
];

/// The words of [`TOPIC_COLUMNS`] for one topic.
pub(crate) fn topic_cells(topic: &TopicActivity) -> [String; 9] {
    let kept = topic
        .topic
        .end_offset
        .saturating_sub(topic.topic.start_offset);
    [
        topic.topic.name.clone(),
        if topic.topic.is_paused {
            "paused".to_owned()
        } else {
            format_rate(topic.records_rate)
        },
        format_count(topic.lag),
        format_count(topic.lost),
        topic
            .headroom
            .map_or_else(|| "-".to_owned(), format_headroom),
        topic.subscriptions.to_string(),
        format!("{}/s", format_bytes(topic.bytes_rate as u64)),
        format_count(kept),
        format_bytes(topic.topic.memory_bytes),
    ]
}

/// The headings of [`topic_cells`].
pub(crate) fn topic_headings() -> [&'static str; 9] {
    TOPIC_COLUMNS.map(|(name, _)| name)
}

/// The words of [`SUBSCRIPTION_COLUMNS`] for one subscription.
pub(crate) fn subscription_cells(activity: &SubscriptionActivity) -> [String; 6] {
    let subscription = &activity.subscription;
    let label = if subscription.label.is_empty() {
        "(no label)"
    } else {
        &subscription.label
    };
    [
        label.chars().filter(|c| !c.is_control()).collect(),
        format_rate(activity.records_rate),
        format_count(subscription.lag),
        format_count(subscription.lost),
        format_headroom(subscription.headroom),
        format_count(subscription.next_offset),
    ]
}

/// The headings of [`subscription_cells`].
pub(crate) fn subscription_headings() -> [&'static str; 6] {
    SUBSCRIPTION_COLUMNS.map(|(name, _)| name)
}

/// `2m 5s`, in two units at most; the records, where nothing moves.
fn format_headroom(headroom: Headroom) -> String {
    const DAYS: Duration = Duration::from_secs(100 * 86_400);
    match headroom.time {
        None => "-".to_owned(),
        Some(time) if time > DAYS => "> 100d".to_owned(),
        Some(time) => {
            let unit = match time.as_secs() {
                0 => Duration::from_millis(1),
                1..60 => Duration::from_millis(100),
                60..3600 => Duration::from_secs(1),
                3600..86_400 => Duration::from_secs(60),
                _ => Duration::from_secs(3600),
            };
            let rounded = time.as_nanos() / unit.as_nanos() * unit.as_nanos();
            format_duration(Duration::from_nanos(
                u64::try_from(rounded).unwrap_or(u64::MAX),
            ))
        }
    }
}

/// The names of `columns`, as the first row.
pub(super) fn heading(columns: &[(&'static str, u16)]) -> Row<'static> {
    let cells = columns.iter().enumerate();
    Row::new(cells.map(|(column, (name, _))| aligned(column, (*name).to_owned())))
        .style(Style::new().add_modifier(Modifier::BOLD))
}

/// Names to the left, figures to the right.
pub(super) fn aligned(column: usize, cell: String) -> Cell<'static> {
    let alignment = if column == 0 {
        Alignment::Left
    } else {
        Alignment::Right
    };
    Cell::from(Text::from(cell).alignment(alignment))
}

/// How many of the columns fit, at least the first.
pub(super) fn fitting(columns: &[(&str, u16)], width: u16) -> usize {
    let mut left = width;
    let fitting = columns.iter().take_while(|(_, wanted)| {
        let fits = left >= *wanted;
        left = left.saturating_sub(wanted + 1);
        fits
    });
    fitting.count().max(1)
}

/// The first column takes what the others leave.
pub(super) fn widths(columns: &[(&str, u16)]) -> Vec<Constraint> {
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    std::iter::once(Constraint::Fill(1))
        .chain(widths.skip(1))
        .collect()
}
