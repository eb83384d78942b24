//! Curves, a contender each, named where they end: latency along percentiles (both axes logarithmic: each nine
//! is a step), or a figure along the number of subscribers.

use super::{
    FAINT, GRID, INK, WIDTH,
    family::{Axis, Family},
    look, plot, text,
};
use crate::bench::{
    report::Figure,
    table::{better, number},
};
use anyhow::Result;
use plotters::{
    element::PathElement,
    prelude::{Circle, Text},
    style::{Color as _, FontStyle, ShapeStyle, text_anchor::HPos},
};

const HEIGHT: i32 = 360;
const TOP: i32 = 60;
const BOTTOM: i32 = HEIGHT - 44;
const LEFT: i32 = 70;
const RIGHT: i32 = WIDTH as i32 - 190;
/// Pixels between the names of two curves.
const NAME: i32 = 16;

pub(super) fn draw(family: &Family<'_, '_>, axis: Axis) -> Result<String> {
    let figures: Vec<_> = family
        .members
        .iter()
        .flat_map(|member| &member.group.figures)
        .copied()
        .collect();
    let scale = Scale::new(family, axis, &figures);
    let peers = family.peers();
    let mut contenders: Vec<&str> = Vec::new();
    for figure in &figures {
        if !contenders.contains(&figure.contender.as_str()) {
            contenders.push(&figure.contender);
        }
    }
    plot(HEIGHT as u32, |area| {
        let heading = text(16, INK, HPos::Left, FontStyle::Bold);
        area.draw(&Text::new(family.name.clone(), (8, 14), heading))?;
        let along = match axis {
            Axis::Percentiles => "by percentile",
            Axis::Subscribers if family.name.contains("ring/") => "by readers",
            Axis::Subscribers => "by subscribers",
        };
        let unit = format!(
            "{} {along}, {} is better",
            family.unit,
            better(family.better)
        );
        let faint = |side| text(12, FAINT, side, FontStyle::Normal);
        area.draw(&Text::new(unit, (8, 33), faint(HPos::Left)))?;

        for value in scale.ticks() {
            let y = scale.y(value);
            area.draw(&PathElement::new(
                vec![(LEFT, y), (RIGHT, y)],
                ShapeStyle::from(&GRID),
            ))?;
            area.draw(&Text::new(tick(value), (LEFT - 8, y), faint(HPos::Right)))?;
        }
        for member in &family.members {
            let x = scale.x(member.x);
            area.draw(&PathElement::new(
                vec![(x, TOP), (x, BOTTOM)],
                ShapeStyle::from(&GRID),
            ))?;
            area.draw(&Text::new(
                member.label.clone(),
                (x, BOTTOM + 18),
                faint(HPos::Center),
            ))?;
        }

        let mut names = Vec::new();
        for contender in contenders {
            let points: Vec<_> = family
                .members
                .iter()
                .filter_map(|member| {
                    let of_contender = |figure: &&&Figure| figure.contender == contender;
                    let figure = *member.group.figures.iter().find(of_contender)?;
                    Some((scale.x(member.x), figure))
                })
                .collect();
            let Some((last_x, last)) = points.last().copied() else {
                continue;
            };
            let (color, weight) = look(last, &peers);
            let width = if last.is_ours() { 3 } else { 2 };
            let line: Vec<_> = points
                .iter()
                .map(|(x, figure)| (*x, scale.y(figure.median)))
                .collect();
            area.draw(&PathElement::new(
                line,
                ShapeStyle::from(&color).stroke_width(width),
            ))?;
            for (x, figure) in points {
                let spread = vec![(x, scale.y(figure.min)), (x, scale.y(figure.max))];
                area.draw(&PathElement::new(spread, ShapeStyle::from(&color)))?;
                area.draw(&Circle::new((x, scale.y(figure.median)), 4, color.filled()))?;
            }
            let name = format!("{contender}  {}", number(last.median));
            names.push((scale.y(last.median), last_x, name, color, weight));
        }
        names.sort_by_key(|name| name.0);
        let mut free = TOP - NAME;
        for (y, x, name, color, weight) in names {
            let place = y.max(free);
            free = place + NAME;
            area.draw(&PathElement::new(
                vec![(x + 5, y), (RIGHT + 14, place)],
                ShapeStyle::from(&color),
            ))?;
            area.draw(&Text::new(
                name,
                (RIGHT + 18, place),
                text(12, INK, HPos::Left, weight),
            ))?;
        }
        Ok(())
    })
}

/// A round figure without needless digits.
fn tick(value: f64) -> String {
    if (0.001..1e6).contains(&value) {
        value.to_string()
    } else {
        format!("{value:.0e}")
    }
}

/// From figures to pixels.
struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    first_x: f64,
    last_x: f64,
    axis: Axis,
}

impl Scale {
    fn new(family: &Family<'_, '_>, axis: Axis, figures: &[&Figure]) -> Self {
        let high = figures
            .iter()
            .map(|figure| figure.max)
            .fold(f64::MIN_POSITIVE, f64::max);
        let low = figures.iter().map(|figure| figure.min).fold(high, f64::min);
        // From a tenth upwards a straight scale shows all; a logarithmic one cannot show zero.
        let is_log = low > 0.0 && (axis == Axis::Percentiles || high / low > 10.0);
        let place =
            |member: Option<&super::family::Member<'_, '_>>| member.map_or(1.0, |member| member.x);
        let (low, high) = if is_log {
            let decade = |value: f64| 10_f64.powf(value);
            (decade(low.log10().floor()), decade(high.log10().ceil()))
        } else {
            (low.min(0.0), high)
        };
        Self {
            low,
            high,
            is_log,
            first_x: place(family.members.first()),
            last_x: place(family.members.last()),
            axis,
        }
    }

    fn x(&self, x: f64) -> i32 {
        let along = |x: f64| match self.axis {
            // Nines are logarithmic already.
            Axis::Percentiles => x,
            Axis::Subscribers => x.ln(),
        };
        let span = along(self.last_x) - along(self.first_x);
        let part = (along(x) - along(self.first_x)) / span.max(f64::MIN_POSITIVE);
        LEFT + 14 + (part * f64::from(RIGHT - LEFT - 28)).round() as i32
    }

    fn y(&self, value: f64) -> i32 {
        let part = if self.is_log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        BOTTOM - (part * f64::from(BOTTOM - TOP)).round() as i32
    }

    /// Where lines are drawn across: powers of ten, or four to eight round steps.
    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let (low, high) = (
                self.low.log10().round() as i32,
                self.high.log10().round() as i32,
            );
            return (low..=high).map(|power| 10_f64.powi(power)).collect();
        }
        let span = self.high - self.low;
        let power = 10_f64.powf((span / 4.0).log10().floor());
        let step = [5.0, 2.0, 1.0].map(|step| step * power).into_iter();
        let step = step.filter(|step| span / step >= 4.0).fold(power, f64::max);
        let count = (span / step).floor() as usize;
        (0..=count)
            .map(|i| ((self.low / step).ceil() + i as f64) * step)
            .collect()
    }
}
