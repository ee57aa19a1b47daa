//! Plots as SVG, narrow enough for a phone.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::number;

/// A phone shows this almost as it is.
const WIDTH: u32 = 480;
const OURS: RGBColor = RGBColor(0x0b, 0x6e, 0x4f);
const OTHERS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const LINES: [RGBColor; 4] =
    [OURS, RGBColor(0xc2, 0x4d, 0x2c), RGBColor(0x2b, 0x59, 0xc3), RGBColor(0x8a, 0x5a, 0x00)];
const FONT: &str = "system-ui, sans-serif";

fn ink(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// Bars with their names above and their figures at the end; those whose name is bold are ours.
pub fn bars(figures: impl Iterator<Item = (String, f64)>) -> anyhow::Result<String> {
    const ROW: i32 = 44;
    let figures: Vec<_> = figures.collect();
    let longest = figures.iter().map(|(_, figure)| *figure).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let height = ROW * figures.len() as i32 + 12;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height as u32)).into_drawing_area();
        root.fill(&WHITE)?;
        for (row, (name, figure)) in (0..).zip(&figures) {
            let top = 6 + row * ROW;
            // The figure stands behind its bar.
            let room = f64::from(WIDTH) - 90.0;
            let end = 8 + (figure / longest * room).max(2.0) as i32;
            let color = if name.contains("**") { OURS } else { OTHERS };
            let plain = name.replace(['*', '`'], "");
            root.draw(&Text::new(plain, (8, top), ink(15)))?;
            let bar = [(8, top + 20), (end, top + 36)];
            root.draw(&Rectangle::new(bar, color.filled()))?;
            let style = ink(15).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(number(*figure), (end + 6, top + 28), style))?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// A line of points, with its name.
pub type Line = (&'static str, Vec<(f64, f64)>);

/// Lines over numbers that grow by factors.
pub fn lines(x_name: &str, y_name: &str, lines: &[Line]) -> anyhow::Result<String> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let (low, high) = bounds(points().map(|(x, _)| *x));
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.15;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, 300)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .margin_right(24)
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d((low..high).log_scale(), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_desc(x_name)
            .y_desc(y_name)
            .x_labels(8)
            .y_labels(5)
            .label_style(ink(14))
            .axis_desc_style(ink(14))
            .x_label_formatter(&|x| compact(*x))
            .y_label_formatter(&|y| compact(*y))
            .draw()?;
        for ((name, points), color) in lines.iter().zip(LINES) {
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(3)).point_size(4))?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3))
                });
        }
        if lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .label_font(ink(14))
                .draw()?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn bounds(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    figures.fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)))
}

/// `100k`.
fn compact(number: f64) -> String {
    match number {
        _ if number >= 1e6 => format!("{}M", number / 1e6),
        _ if number >= 1e3 => format!("{}k", number / 1e3),
        _ => format!("{}", (number * 100.0).round() / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_leaves_room_for_its_figure() {
        let figures = [("**Sesam**".to_owned(), 16.0), ("`jose`".to_owned(), 112.0)];
        let svg = bars(figures.into_iter()).unwrap();
        assert!(svg.contains("Sesam") && svg.contains("112") && !svg.contains("**"), "{svg}");
        assert!(svg.contains(r#"width="480""#), "{svg}");
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([1e6, 1e5, 10.0, 0.25].map(compact), ["1M", "100k", "10", "0.25"]);
    }
}
