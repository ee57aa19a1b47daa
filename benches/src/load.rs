//! Refreshes as fast as they go, over 1 to 64 connections.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Barrier;

use anyhow::Context as _;
use ureq::Agent;

use crate::lab::{Lab, stack};
use crate::plot;
use crate::report::{Section, millis, number, table};
use crate::rounds::{nanos, now, quantile};

const CONNECTIONS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Refreshes of a level, each of a session of its own.
const REFRESHES: usize = 3_200;

/// Serves the stack on one thread until its input ends; says where, and the tokens to refresh with.
#[expect(clippy::print_stdout, reason = "the process that started this one reads it")]
pub fn serve() -> anyhow::Result<()> {
    let lab = Lab::new("RS256")?;
    let mut lines = Vec::new();
    for number in 0..REFRESHES * CONNECTIONS.len() {
        lines.push(lab.sign_in(&format!("user-{number}"))?.refresh.expose().to_owned());
    }
    lab.runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let app = stack(lab.engine.clone(), lab.sessions.config().clone()).await?;
        println!("http://{}\n{}\n", listener.local_addr()?, lines.join("\n"));
        Ok(axum::serve(listener, app).await?)
    })
}

/// Starts a server and asks it level by level.
pub fn measure() -> anyhow::Result<Section> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the server")?;
    let measured = levels(&mut server);
    server.kill()?;
    server.wait()?;
    measured
}

fn levels(server: &mut std::process::Child) -> anyhow::Result<Section> {
    let output = BufReader::new(server.stdout.take().context("no output")?);
    let mut lines = output.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let url = lines.next().context("the server did not start")?;
    let tokens: Vec<_> = lines.collect();
    let mut section = Section::new("load");
    let (mut rows, mut points, mut errors, mut best) = (Vec::new(), Vec::new(), 0, 0.0_f64);
    for (connections, tokens) in CONNECTIONS.iter().zip(tokens.chunks(REFRESHES)) {
        let cpu = cpu_seconds(server.id())?;
        let begun = now();
        let (times, failed) = level(&url, tokens, *connections);
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = cpu_seconds(server.id())? - cpu;
        let rate = times.len() as f64 / seconds;
        let per_core = times.len() as f64 / cpu;
        errors += failed;
        best = best.max(per_core);
        points.push((*connections as f64, rate));
        let at = |share| millis(quantile(&times, share));
        rows.push([
            connections.to_string(),
            number(rate),
            number(per_core),
            at(0.5),
            at(0.99),
            at(1.0),
            failed.to_string(),
        ]);
    }
    section.figure("load.per_core", best);
    section.figure("load.errors", f64::from(errors));
    section.plot(
        "load",
        "Refreshes a second by connections",
        plot::lines("connections", "refreshes a second", &[("Sesam", points)])?,
    );
    let head =
        ["Connections", "A second", "A CPU second", "p50, ms", "p99, ms", "Longest, ms", "Errors"];
    section.text(&table(head, rows));
    Ok(section)
}

/// All tokens over so many connections: nanoseconds of each refresh, and how many failed.
fn level(url: &str, tokens: &[String], connections: usize) -> (Vec<f64>, u32) {
    let barrier = Barrier::new(connections);
    let results = std::thread::scope(|scope| {
        let threads = tokens.chunks(tokens.len().div_ceil(connections)).map(|tokens| {
            let barrier = &barrier;
            scope.spawn(move || {
                let agent: Agent =
                    Agent::config_builder().http_status_as_error(false).build().into();
                barrier.wait();
                tokens.iter().map(|token| refresh(&agent, url, token)).collect::<Vec<_>>()
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let failed = results.iter().filter(|result| result.is_err()).count() as u32;
    (results.into_iter().flatten().collect(), failed)
}

fn refresh(agent: &Agent, url: &str, token: &str) -> anyhow::Result<f64> {
    let begun = now();
    let mut answer = agent
        .post(format!("{url}/auth/session/refresh"))
        .header("authorization", format!("Bearer {token}"))
        .header("st-auth-mode", "header")
        .header("rid", "session")
        .send_empty()?;
    answer.body_mut().read_to_vec()?;
    anyhow::ensure!(answer.status() == 200, "{}", answer.status());
    Ok(nanos(begun.elapsed()))
}

/// What a process has used of its cores, in seconds.
fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    ticks(&stat).map(|ticks| ticks / 100.0).context("the system does not say")
}

/// In user and kernel, of which there are a hundred a second.
fn ticks(stat: &str) -> Option<f64> {
    // The name in parentheses may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, kernel): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_a_core_is_read_from_what_linux_says() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(200.0));
    }
}
