//! `sesam tables`: for machines without AWS, and where no template makes them.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use session::store::create_tables;

use crate::terminal::Terminal;
use crate::{Call, Ending};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make both tables, unless they exist
    Create,
}

pub(crate) async fn create(call: &Call, terminal: &mut Terminal<'_>) -> anyhow::Result<Ending> {
    let names = [call.deployment.table("SESSIONS_TABLE")?, call.deployment.table("KEYS_TABLE")?];
    let [sessions, keys] = &names;
    let made = create_tables(&call.deployment.dynamodb(), sessions, keys)
        .await
        .context("making the tables")?;
    let tables: Vec<_> = names.iter().zip(made).collect();
    if call.json {
        let tables = tables.iter().map(|(name, made)| json!({ "table": name, "made": made }));
        terminal.json(&json!({ "tables": tables.collect::<Vec<_>>() }))?;
        return Ok(Ending::Done);
    }
    for (name, made) in tables {
        terminal.line(&format!("{name}  {}", if made { "made" } else { "there already" }))?;
    }
    if call.deployment.endpoint().is_none() {
        terminal.note(
            "Point-in-time recovery and deletion protection are not switched on: `sesam doctor` says how.",
        )?;
    }
    Ok(Ending::Done)
}
