//! What becomes of time, requests and memory as tables and lists grow.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bootstrap::SystemClock;
use dynoxide::{AttributeValue, ImportOptions, Item};
use local::dynamodb::SESSIONS_TABLE;
use local::function::Program;
use serde_json::{Value, json};
use session::model::{Clock as _, UserId};

use crate::cold::refreshing;
use crate::lab::{Lab, event, refresh};
use crate::plot;
use crate::process::Process;
use crate::report::{Section, count, mean, micros, millis, number, table};
use crate::rounds::{Contender, nanos, now, take_turns, timed};

const TABLES: [usize; 3] = [1_000, 100_000, 1_000_000];
const LISTS: [usize; 3] = [10, 1_000, 100_000];
const ROUNDS: usize = 151;
/// Sessions that a list shows at most, as the function `sessions` does.
const SHOWN: usize = 500;
const LIST: &str = include_str!("../../events/sessions/ok-list.json");

/// Fills tables of three sizes, and lets operations on them take turns.
pub fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("growth");
    let mut labs = Vec::new();
    for sessions in TABLES {
        let lab = Lab::new("RS256")?;
        fill(&lab, sessions)?;
        labs.push((sessions, lab));
    }
    tables(&mut section, &labs)?;
    let (_, largest) = labs.pop().context("there is one")?;
    drop(labs);
    lists(&mut section, &largest)?;
    Ok(section)
}

/// Time of refreshing, listing and ending in tables of every size.
fn tables(section: &mut Section, labs: &[(usize, Lab)]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut lines: Vec<plot::Line> = Vec::new();
    for (name, operation) in [
        ("refresh", Operation::Refresh),
        ("list of 10", Operation::List),
        ("end of 10", Operation::End),
    ] {
        let mut contenders = Vec::new();
        for (sessions, lab) in labs {
            let mut prepared = Vec::new();
            // Before the rounds, so that what a turn touches is not what the machine has just seen.
            for round in 0..=ROUNDS {
                prepared.push(operation.prepare(lab, round)?);
            }
            contenders.push(Contender::new(count(*sessions), move || {
                operation.run(lab, prepared.pop().context("there is one for each round")?)
            }));
        }
        for (_, lab) in labs {
            lab.take_requests();
        }
        take_turns(&mut contenders, ROUNDS)?;
        let (least, most) = (&contenders[0], &contenders[contenders.len() - 1]);
        if matches!(operation, Operation::Refresh) {
            section.figure("growth", most.ratio(least).median);
        }
        let points = contenders.iter().zip(TABLES);
        lines.push((
            name,
            points.map(|(one, sessions)| (sessions as f64, one.median() / 1e3)).collect(),
        ));
        for (one, (_, lab)) in contenders.iter().zip(labs) {
            let requests = lab.take_requests() as f64 / (ROUNDS + 1) as f64;
            let ratio = one.ratio(least).times();
            rows.push([
                name.to_owned(),
                one.name.clone(),
                micros(one.median()),
                ratio,
                mean(requests),
            ]);
        }
    }
    section.plot(
        "growth",
        "Time of an operation by sessions in the table",
        plot::lines("sessions in the table", "µs", &lines)?,
    );
    let head = ["Operation", "Sessions in the table", "Median, µs", "÷ smallest", "Requests"];
    section.text(&table(head, rows));
    Ok(())
}

/// What is done in tables of every size.
#[derive(Clone, Copy)]
enum Operation {
    Refresh,
    List,
    End,
}

/// What one turn needs.
enum Prepared {
    Event(Vec<u8>),
    User(UserId),
}

impl Operation {
    fn prepare(self, lab: &Lab, round: usize) -> anyhow::Result<Prepared> {
        Ok(match self {
            Self::Refresh => {
                let created = lab.sign_in(&format!("refreshing-{round}"))?;
                Prepared::Event(refreshing(created.refresh.expose())?.to_string().into_bytes())
            }
            Self::List | Self::End => {
                let user = format!("listed-{round}");
                if matches!(self, Self::List) {
                    add_sessions_of(lab, &user, 10)?;
                }
                Prepared::User(UserId::new(user))
            }
        })
    }

    fn run(self, lab: &Lab, prepared: Prepared) -> anyhow::Result<f64> {
        lab.runtime.block_on(async {
            let begun = now();
            match (self, prepared) {
                (_, Prepared::Event(event)) => {
                    refresh(&lab.sessions, &event).await?;
                }
                (Self::End, Prepared::User(user)) => {
                    let ended = lab.sessions.revoke_all(&user).await?;
                    anyhow::ensure!(ended.len() == 10, "{} instead of 10", ended.len());
                }
                (_, Prepared::User(user)) => {
                    let found = lab.sessions.used_last(&user, SHOWN, SystemClock.now()).await?;
                    anyhow::ensure!(found.total == 10, "{} instead of 10", found.total);
                }
            }
            Ok(nanos(begun.elapsed()))
        })
    }
}

/// Time, requests and memory of lists of every length, of one user among a million sessions.
fn lists(section: &mut Section, lab: &Lab) -> anyhow::Result<()> {
    let binaries = lab.binaries()?;
    let list = patient(binaries.program("SessionsFunction", &[])?);
    let end = patient(binaries.program("RevokeFunction", &[])?);
    let mut rows = Vec::new();
    for sessions in LISTS {
        let user = format!("user-with-{sessions}");
        let token = add_sessions_of(lab, &user, sessions)?;
        let user_id = UserId::new(user.clone());

        lab.take_requests();
        let found = lab.sessions.used_last(&user_id, SHOWN, SystemClock.now());
        let (found, time) = timed(|| lab.runtime.block_on(found));
        anyhow::ensure!(found?.total == sessions, "the list is not complete");
        let requests = lab.take_requests();
        let asked = event(LIST, &format!("sAccessToken={token}"))?;
        let (process, _) = Process::start(lab, &list, &asked)?;
        let cells = [millis(nanos(time)), count(requests as usize), number(process.peak_mib()?)];
        rows.push(row("list", sessions, cells));
        if sessions == LISTS[2] {
            section.figure("growth.list.mib", process.peak_mib()?);
        }

        let (ended, time) = timed(|| lab.runtime.block_on(lab.sessions.revoke_all(&user_id)));
        anyhow::ensure!(ended?.len() == sessions, "not all were ended");
        let requests = lab.take_requests();
        add_sessions_of(lab, &user, sessions)?;
        let (process, _) = Process::start(lab, &end, &json!({ "userId": user }))?;
        let cells = [millis(nanos(time)), count(requests as usize), number(process.peak_mib()?)];
        rows.push(row("end all", sessions, cells));
        if sessions == LISTS[2] {
            section.figure("growth.end.mib", process.peak_mib()?);
        }
    }
    section.text(
        "Of one user, in the table of a million sessions; memory is that of the built function:",
    );
    let head = ["Operation", "Sessions of the user", "Time, ms", "Requests", "Peak RSS, MiB"];
    section.text(&table(head, rows));
    Ok(())
}

/// The longest lists take longer than the functions may on a machine that is busy.
fn patient(program: Program) -> Program {
    Program { timeout: Duration::from_mins(10), ..program }
}

fn row(operation: &str, sessions: usize, [time, requests, memory]: [String; 3]) -> [String; 5] {
    [operation.to_owned(), count(sessions), time, requests, memory]
}

/// How many items are made at once.
const CHUNK: usize = 20_000;

/// Fills the table up with sessions of as many users, by the engine's own way in.
fn fill(lab: &Lab, sessions: usize) -> anyhow::Result<()> {
    lab.sign_in("template")?;
    let template = any_item(lab)?;
    let mut rng = fastrand::Rng::with_seed(1);
    for begin in (0..sessions).step_by(CHUNK) {
        let items = (begin..sessions.min(begin + CHUNK)).map(|number| {
            let partition = text(&mut rng, 12);
            copy(&template, &format!("user-{number}"), &partition, &mut rng)
        });
        import(lab, items.collect())?;
    }
    Ok(())
}

/// Makes that many sessions of one user; the access token of one of them.
fn add_sessions_of(lab: &Lab, user: &str, sessions: usize) -> anyhow::Result<String> {
    let created = lab.sign_in(user)?;
    let handle = created.handle.to_string();
    let template = item(
        lab,
        json!({ "pk": { "S": format!("public#{}", &handle[..16]) }, "sk": { "S": handle } }),
    )?;
    let mut rng = fastrand::Rng::new();
    let copies = (1..sessions).map(|_| copy(&template, user, &handle[..16], &mut rng));
    import(lab, copies.collect())?;
    Ok(created.access.token)
}

/// Another session like that one.
fn copy(template: &Item, user: &str, partition: &str, rng: &mut fastrand::Rng) -> Item {
    let mut item = template.clone();
    let cells = [
        ("pk", format!("public#{partition}")),
        ("sk", partition.to_owned() + &text(rng, 16)),
        ("user_id", user.to_owned()),
        ("recipe_user_id", user.to_owned()),
    ];
    item.extend(cells.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))));
    item
}

fn text(rng: &mut fastrand::Rng, bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode((0..bytes).map(|_| rng.u8(..)).collect::<Vec<_>>())
}

fn import(lab: &Lab, items: Vec<Item>) -> anyhow::Result<()> {
    let options = ImportOptions::default();
    lab.engine.database().import_items(SESSIONS_TABLE, items, options)?;
    Ok(())
}

fn any_item(lab: &Lab) -> anyhow::Result<Item> {
    let found = ask(lab, "Scan", &json!({ "TableName": SESSIONS_TABLE, "Limit": 1 }))?;
    Ok(serde_json::from_value(found["Items"][0].clone())?)
}

fn item(lab: &Lab, key: Value) -> anyhow::Result<Item> {
    let found = ask(lab, "GetItem", &json!({ "TableName": SESSIONS_TABLE, "Key": key }))?;
    Ok(serde_json::from_value(found["Item"].clone())?)
}

fn ask(lab: &Lab, operation: &str, request: &Value) -> anyhow::Result<Value> {
    let (status, answer) = lab.engine.answer(operation, request.to_string().as_bytes());
    anyhow::ensure!(status == 200, "{operation}: {answer}");
    Ok(serde_json::from_str(&answer)?)
}
