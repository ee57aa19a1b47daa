//! The documents say what is true: files, names and tests in the table of features exist, and so does
//! every row and section of a document that code, tests and other documents cite.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The series of the contract's test rows (contract §10).
const SERIES: [char; 8] = ['c', 'v', 'r', 's', 'm', 'j', 'f', 'd'];

/// The documents with rows that tests are named by, and which ids these have.
type Rows = (&'static str, fn(&str) -> bool);
const DOCUMENTS: [Rows; 2] = [("docs/contract.md", is_row), ("docs/core.md", is_core_row)];

/// The documents whose sections are cited, by the word before the section, and how often at least.
const CITED: [(&str, &str, usize); 3] = [
    ("contract", "docs/contract.md", 10),
    ("authorizer", "docs/authorizer.md", 10),
    ("core", "docs/core.md", 3),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every file with one of those endings, below those folders.
fn texts(folders: &[&str], endings: &[&str]) -> String {
    let mut text = String::new();
    let mut open: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() && !["node_modules", "target", "dist", ".venv"].contains(&name) {
                open.push(path);
            } else if endings.contains(&ending) && name != "features.rs" {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// The text of every source file.
fn sources() -> String {
    texts(&["shared", "functions", "local", "examples", "tests"], &["rs", "js"])
}

/// Names of all tests, in Rust and in the browser's suite.
fn tests() -> BTreeSet<String> {
    let sources = sources();
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in sources.lines().map(str::trim_start) {
        let signature = line.trim_start_matches("async ").strip_prefix("fn ");
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = signature.and_then(|rest| rest.split('(').next()) {
            if is_test {
                names.insert(name.to_owned());
            }
            is_test = false;
        } else if let Some(name) = line.strip_prefix("test(\"").and_then(|it| it.split('"').next())
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The ids of rows that a test begins with.
fn ids(test: &str) -> impl Iterator<Item = &str> {
    test.split('_').take_while(|id| is_row(id) || is_core_row(id))
}

/// A row is tested by what begins with its id, or with several.
fn is_tested(tests: &BTreeSet<String>, row: &str) -> bool {
    let row = row.to_lowercase();
    tests.iter().any(|test| ids(test).any(|id| id == row))
}

/// Whether that is the id of a row of the contract, such as `r12`.
fn is_row(id: &str) -> bool {
    let number = id.strip_prefix(SERIES).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether that is the id of a row of the core's, such as `cb12`.
fn is_core_row(id: &str) -> bool {
    let number =
        id.strip_prefix('c').and_then(|rest| rest.strip_prefix(|c| ('a'..='k').contains(&c)));
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The ids of a document's rows: what stands alone in the first cell.
fn rows_of((path, is_row): Rows) -> BTreeSet<String> {
    let document = fs::read_to_string(root().join(path)).unwrap().to_lowercase();
    let ids =
        document.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0));
    ids.filter(|id| is_row(id)).map(str::to_owned).collect()
}

/// Every document of ours.
fn documents() -> Vec<PathBuf> {
    let folders = [".", "docs", "docs/attach", "events", "examples"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

/// The names by which links reach the headings of a document, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| line.trim_matches(['#', ' ']).to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings.map(|it| it.replace(' ', "-").chars().filter(kept).collect()).collect()
}

/// The sections that `text` cites after that word, as in `contract §5.3, §5.4 and §6`.
fn cited_sections<'a>(text: &'a str, word: &str) -> BTreeSet<&'a str> {
    let before = format!("{word} §");
    let lists = text.split(&before).skip(1);
    let lists = lists.filter_map(|list| list.split(|c| !"0123456789.§,–andto ".contains(c)).next());
    let numbers = lists.flat_map(|list| list.split(|c: char| c != '.' && !c.is_ascii_digit()));
    numbers.map(|number| number.trim_matches('.')).filter(|number| !number.is_empty()).collect()
}

/// Reference, ours, file and tests of each row; headings within the table are left out.
fn rows() -> Vec<[String; 4]> {
    let document = include_str!("../../docs/features.md");
    let rows = document.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = rows.map(|row| {
        let cells = row.strip_prefix('|').and_then(|row| row.strip_suffix('|')).unwrap_or(row);
        cells.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    });
    let rows: Vec<_> = cells
        .map(|cells| <[String; 4]>::try_from(cells).expect("a row has four cells"))
        .filter(|[reference, ..]| !reference.starts_with("**"))
        .collect();
    assert!(rows.len() > 100, "the table was not found");
    rows
}

/// What is set as code within a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// All that is wrong with the table, at once.
fn report(problems: impl Iterator<Item = String>) {
    let problems: Vec<_> = problems.collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_row_has_a_test() {
    let tests = tests();
    let rows = DOCUMENTS.into_iter().flat_map(rows_of);
    report(rows.filter(|row| !is_tested(&tests, row)));
}

#[test]
fn every_row_that_a_test_is_named_by_exists() {
    let tests = tests();
    let rows: BTreeSet<_> = DOCUMENTS.into_iter().flat_map(rows_of).collect();
    let missing = tests.iter().flat_map(|test| ids(test)).filter(|id| !rows.contains(*id));
    report(missing.map(|id| format!("no document has a row {id}")));
}

#[test]
fn every_section_that_is_cited_exists() {
    let folders = ["shared", "functions", "local", "examples", "tests", "docs", "scripts"];
    let mut text = texts(&folders, &["rs", "js", "py", "md", "yaml", "toml"]);
    for file in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "template.yaml"]
    {
        text += &fs::read_to_string(root().join(file)).unwrap();
    }
    // Comments go on in the next line.
    let lines = text.lines().map(|line| line.trim_start_matches(['/', '!', '*', '#', ' ']));
    let text = lines.collect::<Vec<_>>().join(" ").to_lowercase().replace(".md §", " §");
    report(CITED.into_iter().flat_map(|(word, path, least)| {
        let document = fs::read_to_string(root().join(path)).unwrap();
        let headings = document.lines().filter_map(|line| line.split_once("# "));
        let sections: BTreeSet<_> =
            headings.filter_map(|(_, heading)| heading.split(' ').next()).collect();
        let cited = cited_sections(&text, word);
        assert!(cited.len() > least, "no citation of {path} was found");
        let missing = cited.into_iter().filter(|number| !sections.contains(number));
        missing.map(|number| format!("{path} has no section {number}")).collect::<Vec<_>>()
    }));
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    report(documents().into_iter().flat_map(|path| {
        let document = fs::read_to_string(&path).unwrap();
        let prose = document.split("```").step_by(2).collect::<String>();
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let missing = links.filter(|link| !link.starts_with("http")).filter(|link| {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let is_there = |anchor| anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
            !target.exists() || !(anchor.is_empty() || is_there(anchor))
        });
        missing.map(|link| format!("{}: {link}", path.display())).collect::<Vec<_>>()
    }));
}

#[test]
fn every_feature_has_a_test_or_says_why_not() {
    let offered = rows().into_iter().filter(|[_, ours, ..]| !ours.contains("**Not offered**"));
    report(offered.filter_map(|[reference, ours, file, tests]| {
        (ours.is_empty() || file.is_empty() || tests.is_empty()).then_some(reference)
    }));
}

#[test]
fn every_test_of_the_table_exists() {
    let tests = tests();
    let named = rows().into_iter().flat_map(|[reference, _, _, named]| {
        let named = named.split(", ").filter(|test| !test.is_empty()).map(str::to_owned);
        named.map(move |test| (reference.clone(), test)).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, test)| match test.strip_prefix('`') {
        Some(name) => !tests.contains(name.trim_end_matches('`')),
        None => !is_tested(&tests, test),
    });
    report(missing.map(|(reference, test)| format!("{reference}: {test}")));
}

#[test]
fn every_file_of_the_table_exists() {
    let named = rows().into_iter().flat_map(|[reference, _, files, _]| {
        quoted(&files).map(|file| (reference.clone(), file.to_owned())).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, file)| {
        !root().join("shared/session/src").join(file).exists() && !root().join(file).exists()
    });
    report(missing.map(|(reference, file)| format!("{reference}: {file}")));
}

#[test]
fn every_name_of_ours_in_the_table_exists() {
    let sources = sources();
    let named = rows().into_iter().flat_map(|[reference, ours, ..]| {
        quoted(&ours).map(|name| (reference.clone(), name.to_owned())).collect::<Vec<_>>()
    });
    let missing = named.filter(|(_, name)| {
        let last = name.rsplit("::").next().unwrap_or_default();
        let is_name = last.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name && !sources.contains(last)
    });
    report(missing.map(|(reference, name)| format!("{reference}: {name}")));
}
