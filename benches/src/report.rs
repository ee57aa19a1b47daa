//! What an experiment has found: text, plots, and the figures that goals and summaries are about.

use std::collections::BTreeMap;

/// The outcome of one experiment.
#[derive(Debug, Default)]
pub struct Section {
    /// Its place on the page.
    pub name: &'static str,
    /// Markdown.
    pub text: String,
    /// File name without folder and ending, and SVG.
    pub plots: Vec<(String, String)>,
    /// Figures by name.
    pub figures: Figures,
}

/// Figures by name, such as `verify.RS256`.
pub type Figures = BTreeMap<String, f64>;

impl Section {
    /// Nothing has been found yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds a paragraph, or a table.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push_str("\n\n");
    }

    /// Adds a plot, where the page is at.
    pub fn plot(&mut self, file: &str, title: &str, svg: String) {
        self.text(&format!("![{title}](performance/{file}.svg)"));
        self.plots.push((file.to_owned(), svg));
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &str, figure: f64) {
        self.figures.insert(name.to_owned(), figure);
    }
}

/// A Markdown table; all columns are numbers but those whose cells begin with a letter or a mark-up sign.
pub fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let is_number = |column: usize| {
        let mut cells = rows.iter().map(|row| row[column].as_str());
        cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || "–-< ".contains(c)))
    };
    let rule =
        std::array::from_fn::<_, N, _>(|column| if is_number(column) { "--:" } else { "---" });
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head) + &format!("|{}|\n", rule.join("|"));
    for row in &rows {
        text += &line(&row.each_ref().map(String::as_str));
    }
    text
}

/// Nanoseconds as microseconds.
pub fn micros(nanos: f64) -> String {
    number(nanos / 1e3)
}

/// Nanoseconds as milliseconds.
pub fn millis(nanos: f64) -> String {
    number(nanos / 1e6)
}

/// Three digits that count, more where the number has more before its point.
pub fn number(number: f64) -> String {
    match number.abs() {
        _ if number.is_nan() => "–".to_owned(),
        size if size >= 1e3 => thousands(number.round() as i64),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// What was counted on average: a whole number as such.
pub fn mean(mean: f64) -> String {
    if mean.fract() == 0.0 { thousands(mean as i64) } else { number(mean) }
}

/// What is counted.
pub fn count(count: usize) -> String {
    thousands(count as i64)
}

/// `1,234,567`.
fn thousands(number: i64) -> String {
    let digits = number.abs().to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let cases = [
            (1_234_567.4, "1,234,567"),
            (-1_000.0, "-1,000"),
            (999.6, "1000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0, "0.00"),
            (f64::NAN, "–"),
        ];
        for (figure, text) in cases {
            assert_eq!(number(figure), text);
        }
    }

    #[test]
    fn a_count_that_is_the_same_every_time_is_a_whole_number() {
        for (mean_of, text) in [(1.0, "1"), (0.0, "0"), (4_053.0, "4,053"), (1.5, "1.50")] {
            assert_eq!(mean(mean_of), text);
        }
    }

    #[test]
    fn columns_of_numbers_are_flush_right() {
        let rows = vec![["`jose`".to_owned(), "112 (110–115)".to_owned()]];
        let expected = "| Verifier | µs |\n|---|--:|\n| `jose` | 112 (110–115) |\n";
        assert_eq!(table(["Verifier", "µs"], rows), expected);
    }
}
