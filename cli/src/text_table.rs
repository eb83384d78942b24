//! Rows of text under a heading, in columns: the first to the left, the others, which are figures, to the right.

use std::fmt::Write as _;

/// Lines up `rows` under `heading`; nothing if there are no rows.
pub(crate) fn align<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned))
        .chain(rows)
        .collect();
    if rows.len() == 1 {
        return String::new();
    }
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if i == 0 {
                write!(text, "{cell:<width$}")
            } else {
                write!(text, "  {cell:>width$}")
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_end_below_one_another() {
        let row = |name: &str, figure: &str| [name.to_owned(), figure.to_owned()];
        let text = align(["TOPIC", "LAG"], [row("a", "1 000"), row("orders", "0")]);
        assert_eq!(text, "TOPIC     LAG\na       1 000\norders      0\n");
        assert_eq!(align(["TOPIC"], []), "");
    }
}
