//! What `footman top` shows: topics in an order, the subscriptions of the one that is selected. Draws, and
//! answers to keys; never asks the server.

pub(crate) mod columns;
pub(crate) mod order;

use std::ops::Add;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, TableState};

use crate::activity::{Activity, SubscriptionActivity, TopicActivity};
use crate::quantity::{format_bytes, format_count, format_duration, format_rate};
use columns::{
    SUBSCRIPTION_COLUMNS, TOPIC_COLUMNS, aligned, fitting, heading, subscription_cells,
    topic_cells, widths,
};
use order::Order;

/// Whether to go on after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    GoOn,
    Quit,
}

/// What is shown, and how.
#[derive(Debug)]
pub(crate) struct Screen {
    server: String,
    activity: Option<Activity>,
    /// Why there is nothing newer.
    trouble: Option<String>,
    order: Order,
    is_reversed: bool,
    is_paused: bool,
    /// The topic whose subscriptions are shown; the first, if it has gone.
    selected: Option<String>,
    has_colors: bool,
}

impl Screen {
    pub(crate) fn new(server: &str, order: Order, has_colors: bool) -> Screen {
        Screen {
            server: server.to_owned(),
            activity: None,
            trouble: None,
            order,
            is_reversed: false,
            is_paused: false,
            selected: None,
            has_colors,
        }
    }

    /// Shows this from now on, unless it is paused.
    pub(crate) fn update(&mut self, activity: Activity) {
        self.trouble = None;
        if !self.is_paused {
            self.activity = Some(activity);
            self.sort();
        }
    }

    /// Says why nothing newer comes; what was last seen stays.
    pub(crate) fn fail(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// Does what a key asks for.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Answer {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Answer::Quit,
            KeyCode::Char('c') if ctrl => return Answer::Quit,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('p') | KeyCode::Char(' ') => self.is_paused = !self.is_paused,
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Home | KeyCode::Char('g') => self.select(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.select(isize::MAX),
            _ => {}
        }
        self.sort();
        Answer::GoOn
    }

    fn sort(&mut self) {
        if let Some(activity) = &mut self.activity {
            self.order.sort(&mut activity.topics);
            if self.is_reversed {
                activity.topics.reverse();
            }
        }
    }

    fn select(&mut self, by: isize) {
        let place = self.selected_place().saturating_add_signed(by);
        if let Some(activity) = &self.activity {
            let last = activity.topics.len().saturating_sub(1);
            let topic = activity.topics.get(place.min(last));
            self.selected = topic.map(|topic| topic.topic.name.clone());
        }
    }

    fn selected_place(&self) -> usize {
        let topics = self.activity.iter().flat_map(|activity| &activity.topics);
        let selected = self.selected.as_deref();
        topics
            .map(|topic| topic.topic.name.as_str())
            .position(|name| Some(name) == selected)
            .unwrap_or_default()
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let selected = self.selected_place();
        let topics: &[TopicActivity] = self.activity.as_ref().map_or(&[], |a| &a.topics);
        let subscriptions: Vec<_> = self
            .activity
            .iter()
            .flat_map(|activity| &activity.subscriptions)
            .filter(|s| {
                topics
                    .get(selected)
                    .is_some_and(|t| t.topic.name == s.subscription.topic)
            })
            .collect();
        // A small terminal keeps the topics.
        let head = area.height.saturating_sub(4).min(2);
        let wanted = u16::try_from(subscriptions.len())
            .unwrap_or(u16::MAX)
            .saturating_add(2);
        let below = match area.height {
            ..12 => 0,
            height => wanted.min(height / 3),
        };
        let foot = u16::from(area.height > 3);
        let [head, above, below, foot] = Layout::vertical([
            Constraint::Length(head),
            Constraint::Min(1),
            Constraint::Length(below),
            Constraint::Length(foot),
        ])
        .areas(area);
        frame.render_widget(Paragraph::new(self.head(area.width)), head);
        self.draw_topics(frame, above, topics, selected);
        if let Some(topic) = topics.get(selected) {
            self.draw_subscriptions(frame, below, &topic.topic.name, &subscriptions);
        }
        frame.render_widget(Paragraph::new(self.foot()), foot);
    }

    fn head(&self, width: u16) -> Text<'static> {
        let Some(activity) = &self.activity else {
            let server = &self.server;
            return Text::from(format!("footman top  {server}"));
        };
        let server = &activity.server;
        let up = format_duration(Duration::from_secs(server.up.as_secs()));
        let state = if self.is_paused { "  PAUSED" } else { "" };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let first = Line::from(vec![
            Span::styled(format!("footman top  {}", self.server), bold),
            Span::raw(format!("  version {}, up {up}", server.version)),
            Span::styled(state, bold),
        ]);
        let sum = |rate: fn(&SubscriptionActivity) -> f64| -> f64 {
            // Not `sum`, which is -0 of nothing.
            activity.subscriptions.iter().map(rate).fold(0.0, Add::add)
        };
        let incoming = activity.topics.iter().map(|topic| topic.records_rate);
        let incoming = incoming.fold(0.0, Add::add);
        let mut second = format!(
            "in {}  out {}  lost {}  memory {} of {}",
            format_rate(incoming),
            format_rate(sum(|s| s.records_rate)),
            format_rate(sum(|s| s.lost_rate)),
            format_bytes(server.memory_bytes),
            format_bytes(server.max_memory_bytes),
        );
        if width >= 110 {
            second += &format!(
                "  topics {}  subscriptions {}  connections {}",
                activity.topics.len(),
                activity.subscriptions.len(),
                server.connections
            );
        }
        Text::from(vec![first, Line::from(second)])
    }

    fn foot(&self) -> Line<'static> {
        if let Some(trouble) = &self.trouble {
            let style = self.colored(Color::Red).add_modifier(Modifier::BOLD);
            return Line::from(Span::styled(trouble.clone(), style));
        }
        let order = self.order.name();
        let reversed = if self.is_reversed { " reversed" } else { "" };
        let keys = format!("q quit  ↑↓ select  s sort: {order}{reversed}  r reverse  p pause");
        Line::from(Span::styled(keys, Style::new().add_modifier(Modifier::DIM)))
    }

    fn draw_topics(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        topics: &[TopicActivity],
        selected: usize,
    ) {
        if topics.is_empty() {
            let text = match (&self.activity, &self.trouble) {
                (None, _) => "asking the server …",
                (Some(_), _) => "no topics to show: `footman produce logs` makes one",
            };
            return frame.render_widget(Paragraph::new(text), area);
        }
        let columns = fitting(&TOPIC_COLUMNS, area.width);
        let rows = topics.iter().map(|topic| {
            let cells = topic_cells(topic).into_iter().take(columns);
            let alarms = [
                (2, topic.lag > 0, Color::Yellow),
                (3, topic.lost > 0, Color::Red),
            ];
            self.row(cells, &alarms)
        });
        let table = Table::new(rows, widths(&TOPIC_COLUMNS[..columns]))
            .header(heading(&TOPIC_COLUMNS[..columns]))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        let mut state = TableState::new().with_selected(Some(selected));
        frame.render_stateful_widget(table, area, &mut state);
    }

    fn draw_subscriptions(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        topic: &str,
        subscriptions: &[&SubscriptionActivity],
    ) {
        let columns = fitting(&SUBSCRIPTION_COLUMNS, area.width);
        let rows = subscriptions.iter().map(|activity| {
            let cells = subscription_cells(activity).into_iter().take(columns);
            let (lag, lost) = (activity.subscription.lag, activity.subscription.lost);
            let alarms = [(2, lag > 0, Color::Yellow), (3, lost > 0, Color::Red)];
            self.row(cells, &alarms)
        });
        let title = match subscriptions.len() {
            0 => format!(" nobody follows {topic} "),
            count => format!(" {} of {topic} ", format_count(count as u64)),
        };
        let table = Table::new(rows, widths(&SUBSCRIPTION_COLUMNS[..columns]))
            .header(heading(&SUBSCRIPTION_COLUMNS[..columns]))
            .block(Block::new().borders(Borders::TOP).title(title));
        frame.render_widget(table, area);
    }

    /// A row; `alarms` say which columns stand out, and how.
    fn row(
        &self,
        cells: impl Iterator<Item = String>,
        alarms: &[(usize, bool, Color)],
    ) -> Row<'static> {
        Row::new(cells.enumerate().map(|(column, cell)| {
            let alarm = alarms.iter().find(|alarm| alarm.0 == column && alarm.1);
            let style = alarm.map_or_else(Style::new, |(_, _, color)| {
                self.colored(*color).add_modifier(Modifier::BOLD)
            });
            aligned(column, cell).style(style)
        }))
    }

    fn colored(&self, color: Color) -> Style {
        if self.has_colors {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::activity::tests::{look, subscription, topic};

    fn activity() -> Activity {
        let start = Instant::now();
        let mut lossy = subscription("orders", "slow", 520, 980);
        lossy.lost = 1_234;
        lossy.id = 1;
        lossy.headroom.time = Some(Duration::from_millis(500));
        let topics = |more: u64| {
            let mut orders = topic("orders", 500, 1_500);
            orders.appended_records += more;
            vec![topic("audit", 0, 10), orders, topic("logs", 0, 10)]
        };
        let subscriptions = vec![
            lossy,
            subscription("orders", "", 1_500, 0),
            subscription("logs", "tail", 10, 0),
        ];
        let old = look(start, topics(0), subscriptions.clone());
        let new = look(start + Duration::from_secs(1), topics(40), subscriptions);
        Activity::between(Some(&old), &new)
    }

    fn drawn(screen: &Screen, width: u16, height: u16) -> Buffer {
        let mut terminal =
            Terminal::new(TestBackend::new(width, height)).expect("a test has a terminal");
        terminal
            .draw(|frame| screen.draw(frame))
            .expect("it is drawn");
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width);
        rows.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect()
    }

    fn press(screen: &mut Screen, key: char) -> Answer {
        screen.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE))
    }

    #[test]
    fn topics_come_in_order_and_the_selected_ones_subscriptions_below() {
        let mut screen = Screen::new("host:1", Order::Rate, true);
        screen.update(activity());
        let text = lines(&drawn(&screen, 110, 24));
        assert!(
            text[0].starts_with("footman top  host:1  version 1.2.3, up 1m2s"),
            "{text:#?}"
        );
        assert!(
            text[1].contains("in 40 /s") && text[1].contains("connections 3"),
            "{text:#?}"
        );
        assert!(
            text[3].starts_with("orders") && text[3].contains("40 /s") && text[3].contains("500ms"),
            "{text:#?}"
        );
        assert!(
            text[4].starts_with("audit") && text[5].starts_with("logs"),
            "{text:#?}"
        );
        let below = text
            .iter()
            .position(|line| line.contains("2 of orders"))
            .expect("they follow");
        assert!(
            text[below + 2].starts_with("slow") && text[below + 2].contains("1 234"),
            "{text:#?}"
        );
        assert!(text[below + 3].starts_with("(no label)"), "{text:#?}");

        press(&mut screen, 's');
        press(&mut screen, 'r');
        press(&mut screen, 'k');
        let text = lines(&drawn(&screen, 110, 24));
        assert!(text[23].contains("sort: lag reversed"), "{text:#?}");
        assert!(text[5].starts_with("orders"), "{text:#?}");
        assert_eq!(press(&mut screen, 'q'), Answer::Quit);
    }

    #[test]
    fn a_selection_stays_with_its_topic() {
        let mut screen = Screen::new("host:1", Order::Name, true);
        screen.update(activity());
        press(&mut screen, 'j');
        press(&mut screen, 'r');
        let text = lines(&drawn(&screen, 100, 24)).join("\n");
        assert!(text.contains("1 of logs"), "{text}");
        for _ in 0..9 {
            press(&mut screen, 'j');
        }
        let text = lines(&drawn(&screen, 100, 24)).join("\n");
        assert!(text.contains("nobody follows audit"), "{text}");
    }

    #[test]
    fn losses_stand_out_in_color_only_where_there_are_colors() {
        for has_colors in [true, false] {
            let mut screen = Screen::new("host:1", Order::Name, has_colors);
            screen.update(activity());
            let buffer = drawn(&screen, 110, 24);
            let is_red = |cell: &ratatui::buffer::Cell| cell.fg == Color::Red;
            assert_eq!(buffer.content.iter().any(is_red), has_colors);
            let is_bold = |cell: &ratatui::buffer::Cell| {
                cell.modifier.contains(Modifier::BOLD) && cell.symbol() == "1"
            };
            assert!(
                buffer.content.iter().any(is_bold),
                "the loss is bold all the same"
            );
        }
    }

    #[test]
    fn any_size_of_terminal_will_do() {
        let mut screen = Screen::new("host:1", Order::Rate, true);
        drawn(&screen, 80, 24);
        screen.update(activity());
        for width in 1..130 {
            for height in 1..20 {
                drawn(&screen, width, height);
            }
        }
        let text = lines(&drawn(&screen, 16, 3)).join("\n");
        assert!(text.contains("orders"), "{text}");
    }

    #[test]
    fn what_is_paused_stays_and_trouble_is_said() {
        let mut screen = Screen::new("host:1", Order::Rate, true);
        screen.update(activity());
        press(&mut screen, 'p');
        screen.update(Activity::between(
            None,
            &look(Instant::now(), vec![], vec![]),
        ));
        screen.fail("cannot reach host:1".to_owned());
        let text = lines(&drawn(&screen, 100, 20)).join("\n");
        for part in ["PAUSED", "orders", "cannot reach host:1"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        press(&mut screen, 'p');
        screen.update(Activity::between(
            None,
            &look(Instant::now(), vec![], vec![]),
        ));
        let text = lines(&drawn(&screen, 100, 20)).join("\n");
        assert!(text.contains("no topics to show"), "{text}");
    }
}
