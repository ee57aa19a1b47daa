//! The page that is written: sections and figures between markers, the text around them stays.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::report::{Figures, Section, mean, number, table};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where the text of every experiment is, and the plots below.
const PAGE: &str = "docs/performance.md";

/// What a figure must be.
struct Goal {
    what: &'static str,
    figure: &'static str,
    bound: Bound,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

const fn at_most(what: &'static str, figure: &'static str, bound: f64, unit: &'static str) -> Goal {
    Goal { what, figure, bound: Bound::AtMost(bound), unit }
}

const fn at_least(
    what: &'static str,
    figure: &'static str,
    bound: f64,
    unit: &'static str,
) -> Goal {
    Goal { what, figure, bound: Bound::AtLeast(bound), unit }
}

const GOALS: [Goal; 15] = [
    at_most("verification ÷ raw, RS256", "verify.RS256", 1.15, "×"),
    at_most("verification ÷ raw, ES256", "verify.ES256", 1.06, "×"),
    at_most("authorizer, bytes to bytes ÷ raw, RS256", "authorizer.RS256", 1.6, "×"),
    at_most("minting ÷ raw signature, RS256", "mint.RS256", 1.05, "×"),
    at_most("warm authorizer − echo, in raw verifications", "warm.raw", 2.0, "×"),
    at_most("cold authorizer ÷ echo, pinned keys", "cold.pinned", 1.15, "×"),
    at_most("cold authorizer ÷ echo, keys from the table", "cold.table", 1.8, "×"),
    at_least("cold start, Node authorizer ÷ Sesam, pinned keys", "cold.node.pinned", 50.0, "×"),
    at_least("cold start, Node authorizer ÷ Sesam, keys from the table", "cold.node", 50.0, "×"),
    at_least("memory, Node authorizer ÷ Sesam", "cold.node.rss", 8.0, "×"),
    at_most("binary, authorizer", "size.authorizer", 5.0, "MB"),
    at_most("binary, refresh", "size.refresh", 7.0, "MB"),
    at_most("refresh ÷ (raw update + raw signature)", "refresh", 1.15, "×"),
    at_most("refresh, a million sessions ÷ a thousand", "growth", 1.1, "×"),
    at_most("errors under load", "load.errors", 0.0, ""),
];

/// Writes all sections, plots, goals and the summary into the repository.
pub fn write(sections: &[Section]) -> anyhow::Result<()> {
    let root = Path::new(REPOSITORY);
    let mut figures: Figures =
        sections.iter().flat_map(|section| section.figures.clone()).collect();
    if let (Some(excess), Some(raw)) =
        (figures.get("warm.excess"), figures.get("authorizer.RS256.raw"))
    {
        figures.insert("warm.raw".to_owned(), excess / raw);
    }
    let folder = root.join("docs/performance");
    std::fs::create_dir_all(&folder)?;
    let mut blocks: Vec<_> =
        sections.iter().map(|section| (section.name, section.text.clone())).collect();
    blocks.push(("machine", machine()));
    if sections.len() > 1 {
        blocks.push(("goals", goals(&figures)));
    }
    for (file, svg) in sections.iter().flat_map(|section| &section.plots) {
        std::fs::write(folder.join(format!("{file}.svg")), svg)?;
    }
    fill(&root.join(PAGE), &blocks)?;
    if sections.len() > 1 {
        fill(&root.join("README.md"), &[("summary", summary(&figures)?)])?;
    }
    Ok(())
}

fn fill(file: &Path, blocks: &[(&str, String)]) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(file)?;
    for (name, block) in blocks {
        text =
            replaced(&text, name, block).with_context(|| format!("{}: {name}", file.display()))?;
    }
    Ok(std::fs::write(file, text)?)
}

/// The text with another block between the markers of that name; `None` without them.
fn replaced(text: &str, name: &str, block: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", block.trim()))
}

/// What is reached, and what is not.
fn goals(figures: &Figures) -> String {
    let rows = GOALS.iter().filter_map(|Goal { what, figure, bound, unit }| {
        let found = *figures.get(*figure)?;
        let (text, is_reached) = match bound {
            Bound::AtMost(most) => (format!("≤ {most}"), found <= *most),
            Bound::AtLeast(least) => (format!("≥ {least}"), found >= *least),
        };
        let verdict = if is_reached { "reached" } else { "**missed**" };
        Some([
            (*what).to_owned(),
            format!("{text} {unit}").trim().to_owned(),
            if unit.is_empty() { mean(found) } else { format!("{} {unit}", number(found)) },
            verdict.to_owned(),
        ])
    });
    table(["Figure", "Goal", "Measured", ""], rows.collect())
}

/// The few rows of the README.
fn summary(figures: &Figures) -> anyhow::Result<String> {
    let figure = |name: &str| {
        let figure = figures.get(name).with_context(|| format!("{name} was not measured"))?;
        anyhow::Ok(number(*figure))
    };
    let row = |what: &str, ours: String, other: String| [what.to_owned(), ours, other];
    let rows = vec![
        row(
            "verify an access token, RS256",
            format!(
                "{} µs, {} × the signature check alone",
                figure("verify.RS256.micros")?,
                figure("verify.RS256")?
            ),
            format!("`supertokens-node` takes {} × as long", figure("verify.RS256.node")?),
        ),
        row(
            "cold start of the authorizer, keys from the table",
            format!("{} ms", figure("cold.millis")?),
            format!("in Node on `supertokens-node` {} ms", figure("cold.node.millis")?),
        ),
        row(
            "its memory",
            format!("{} MiB", figure("cold.rss")?),
            format!("{} MiB", figure("cold.node.mib")?),
        ),
        row(
            "refresh, event in, answer out",
            format!(
                "{} µs, {} × one SDK write and one signature",
                figure("refresh.micros")?,
                figure("refresh")?
            ),
            format!(
                "`supertokens-node` on Sesam's core takes {} × as long",
                figure("refresh.node")?
            ),
        ),
        row(
            "a month of a million users",
            format!("{} dollars", figure("cost.million_users")?),
            format!(
                "Node with core and database in two zones {}, Cognito {}",
                figure("cost.million_users.core")?,
                figure("cost.million_users.cognito")?
            ),
        ),
    ];
    Ok(table(["", "Sesam", "Beside it"], rows))
}

/// The machine, the versions, and how busy it was.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor =
        file_line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = file_line("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(String::new, |kib| format!("{:.0} GiB, ", kib / 1024.0 / 1024.0));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    format!(
        "{} on {cores} cores of {processor}, {memory}{}, {}, Node {}, at commit `{}`. The load of the last quarter of an \
         hour was {load}.",
        said("date", &["-u", "+%F"]),
        said("uname", &["-sm"]),
        said("rustc", &["--version"]).split(" (").next().unwrap_or_default(),
        said("node", &["--version"]),
        said("git", &["-C", REPOSITORY, "rev-parse", "--short", "HEAD"]),
    )
}

fn file_line(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_the_text_around_it_stays() {
        let text = "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n";
        let expected = "before\n<!-- bench:a -->\n\nnew\n\n<!-- /bench:a -->\nafter\n";
        assert_eq!(replaced(text, "a", "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(expected, "a", "new").as_deref(), Some(expected));
        assert_eq!(replaced(text, "b", "new"), None);
    }

    #[test]
    fn a_goal_is_judged_by_its_bound_and_left_out_if_nothing_was_measured() {
        let figures = [("verify.RS256", 1.2), ("cold.node", 60.0), ("load.errors", 0.0)];
        let figures = figures.map(|(name, figure)| (name.to_owned(), figure)).into_iter().collect();
        let text = goals(&figures);
        assert!(text.contains("RS256 | ≤ 1.15 × | 1.20 × | **missed** |"), "{text}");
        assert!(text.contains("≥ 50 × | 60.0 × | reached |"), "{text}");
        assert!(text.contains("errors under load | ≤ 0 | 0 | reached |"), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn the_page_has_a_place_for_every_section() {
        let page = std::fs::read_to_string(Path::new(REPOSITORY).join(PAGE)).unwrap();
        let names = [
            "machine",
            "goals",
            "verify",
            "authorizer",
            "cold",
            "refresh",
            "growth",
            "load",
            "cost",
        ];
        for name in names {
            assert!(replaced(&page, name, "").is_some(), "{name}");
        }
    }
}
