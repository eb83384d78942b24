//! Bars with their spread: a cluster a group, a bar a contender, the longest fills the width. Where contenders
//! differ by more than a screen can show, the scale is logarithmic, and says so.

use super::{FAINT, GRID, INK, WIDTH, family::Family, look, plot, text};
use crate::bench::{
    report::{Better, Figure},
    table::{better, number},
};
use anyhow::Result;
use plotters::{
    element::PathElement,
    prelude::{Rectangle, Text},
    style::{Color as _, FontStyle, ShapeStyle, text_anchor::HPos},
};

const ROW: i32 = 19;
const GAP: i32 = 12;
const TOP: i32 = 44;
/// Pixels of a name's character, at most.
const CHARACTER: i32 = 7;
/// Where the longest bar ends.
const RIGHT: i32 = WIDTH as i32 - 150;
/// The ratio of largest to smallest from which the scale is logarithmic: where less is better, ours is among
/// the short ones, and would be hard to see.
fn wide(better: Better) -> f64 {
    match better {
        Better::Higher => 1000.0,
        Better::Lower => 30.0,
    }
}

pub(super) fn draw(family: &Family<'_, '_>) -> Result<String> {
    let labelled = |label: &str| i32::from(!label.is_empty()) * ROW;
    let heights = family
        .members
        .iter()
        .map(|member| labelled(&member.label) + member.group.figures.len() as i32 * ROW + GAP);
    let height = TOP + heights.sum::<i32>();
    let figures: Vec<_> = family
        .members
        .iter()
        .flat_map(|member| &member.group.figures)
        .copied()
        .collect();
    let scale = Scale::new(&figures, family.better);
    let peers = family.peers();
    let left = scale.left;
    plot(height as u32, |area| {
        let heading = text(16, INK, HPos::Left, FontStyle::Bold);
        area.draw(&Text::new(family.name.clone(), (8, 14), heading))?;
        let scale_word = if scale.smallest.is_some() {
            ", logarithmic"
        } else {
            ""
        };
        let unit = format!(
            "{}, {} is better{scale_word}",
            family.unit,
            better(family.better)
        );
        area.draw(&Text::new(
            unit,
            (8, 33),
            text(12, FAINT, HPos::Left, FontStyle::Normal),
        ))?;
        let mut y = TOP;
        for member in &family.members {
            if !member.label.is_empty() {
                let label = text(13, INK, HPos::Left, FontStyle::Bold);
                area.draw(&Text::new(member.label.clone(), (8, y + ROW / 2), label))?;
                y += ROW;
            }
            for figure in &member.group.figures {
                let (color, weight) = look(figure, &peers);
                let middle = y + ROW / 2;
                let end = scale.x(figure.median);
                area.draw(&Rectangle::new(
                    [(left, middle - 6), (end.max(left + 1), middle + 6)],
                    color.filled(),
                ))?;
                let whisker = ShapeStyle::from(&INK).stroke_width(1);
                let (min, max) = (scale.x(figure.min), scale.x(figure.max));
                if max > min + 1 {
                    for path in [
                        [(min, middle), (max, middle)],
                        [(min, middle - 3), (min, middle + 3)],
                        [(max, middle - 3), (max, middle + 3)],
                    ] {
                        area.draw(&PathElement::new(path.to_vec(), whisker))?;
                    }
                }
                let name = text(12, INK, HPos::Right, weight);
                area.draw(&Text::new(
                    figure.contender.clone(),
                    (left - 8, middle),
                    name,
                ))?;
                let value = text(12, INK, HPos::Left, weight);
                area.draw(&Text::new(
                    beside(figure, member.group.ours()),
                    (end.max(max) + 6, middle),
                    value,
                ))?;
                y += ROW;
            }
            area.draw(&PathElement::new(
                vec![(left, y + GAP / 2), (RIGHT, y + GAP / 2)],
                ShapeStyle::from(&GRID),
            ))?;
            y += GAP;
        }
        Ok(())
    })
}

/// What stands at a bar's end: the figure, and how ours stands to it.
fn beside(figure: &Figure, ours: Option<&Figure>) -> String {
    let median = number(figure.median);
    let times = ours.filter(|ours| !std::ptr::eq(*ours, figure) && !figure.is_limit());
    match times.and_then(|ours| ours.times_better_than(figure)) {
        Some(times) => format!("{median}  (ours × {times:.2})"),
        None => median,
    }
}

/// From figures to pixels.
struct Scale {
    /// Where bars begin: beside the longest name.
    left: i32,
    /// The smallest figure, where the scale is logarithmic.
    smallest: Option<f64>,
    largest: f64,
}

impl Scale {
    fn new(figures: &[&Figure], better: Better) -> Self {
        let largest = figures
            .iter()
            .map(|figure| figure.max)
            .fold(f64::MIN_POSITIVE, f64::max);
        let positive = figures
            .iter()
            .map(|figure| figure.min)
            .filter(|min| *min > 0.0);
        let smallest = positive.fold(largest, f64::min);
        let names = figures
            .iter()
            .map(|figure| figure.contender.chars().count() as i32);
        Self {
            left: (names.max().unwrap_or_default() * CHARACTER + 24).clamp(160, 320),
            smallest: (largest / smallest > wide(better)).then_some(smallest / 2.0),
            largest,
        }
    }

    fn x(&self, value: f64) -> i32 {
        let part = match self.smallest {
            Some(smallest) => {
                (value.max(smallest) / smallest).ln() / (self.largest / smallest).ln()
            }
            None => value / self.largest,
        };
        self.left + (part * f64::from(RIGHT - self.left)).round() as i32
    }
}
