//! Hostile proofs: every verdict follows the rule of its family, and the table says how many there are.
//!
//! `cargo run -p hostile --bin hostile-tokens -- --proof-summary` writes the table, `proof-verdicts.tsv`;
//! read its difference before you commit it.

use std::collections::HashSet;
use std::fmt::Write as _;

use hostile::proofs::{self, Expected};

#[test]
fn there_are_at_least_300_hostile_proofs_each_with_a_name_of_its_own() {
    let refused = proofs::all().iter().filter(|it| !matches!(it.expected, Expected::Accepted(_)));
    assert!(refused.count() >= 300);
    let mut names = HashSet::new();
    for proof in proofs::all() {
        assert!(names.insert((proof.family, &proof.name)), "{}: {}", proof.family, proof.name);
    }
}

#[test]
fn every_verdict_on_a_proof_follows_the_rule_of_its_family() {
    let mut wrong = String::new();
    for proof in proofs::all().iter().filter(|proof| !proof.is_as_expected()) {
        let (family, name, verdict) = (proof.family, &proof.name, proof.verdict());
        writeln!(wrong, "{family}: {name}: {verdict:?}, expected {:?}", proof.expected).unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_verdicts_on_proofs_are_those_of_the_table() {
    let (found, table) = (proofs::summary(), std::fs::read_to_string(proofs::SUMMARY).unwrap());
    assert_eq!(found, table, "cargo run -p hostile --bin hostile-tokens -- --proof-summary");
}
