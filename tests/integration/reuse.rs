//! What is kept of who presented a token that another party may hold.

use std::time::Duration;

use session::model::{Device, Repeats, Revocation, Session};
use session::store::SessionReader as _;
use session::token::UnverifiedRefreshToken;
use testkit::harness::Tokens;
use testkit::{Harness, keys};

/// What a refresh by cookie from a device of that agent gives.
async fn refresh(harness: &Harness, agent: &str, tokens: &Tokens) -> Tokens {
    let cookie = tokens.refresh_cookie();
    let answer = harness.refresh(&[("cookie", &cookie), ("user-agent", agent)]).await;
    assert_eq!(answer.status(), 200);
    Tokens::of(&answer)
}

/// The session of a refresh token, as the table has it.
async fn stored(harness: &Harness, tokens: &Tokens) -> Session {
    let token = UnverifiedRefreshToken::parse(&tokens.refresh).unwrap();
    let handle = token.verify(&keys::master()).unwrap().handle;
    harness.store.session(&handle).await.unwrap().unwrap()
}

fn device(agent: &str) -> Device {
    Device::new(Some(agent), Some("127.0.0.1"))
}

#[tokio::test]
async fn the_tombstone_names_both_parties_and_the_generation() {
    let harness = Harness::new(&[]).await;
    let stolen = harness.sign_in("cookie").await;
    let window = harness.config.refresh.window();
    let mut owner = stolen.clone();
    for _ in 0..2 {
        harness.clock.advance(window * 2);
        owner = refresh(&harness, "owner", &owner).await;
    }
    harness.clock.advance(window * 2);
    let cookie = stolen.refresh_cookie();
    let answer = harness.refresh(&[("cookie", &cookie), ("user-agent", "thief")]).await;
    assert_eq!(answer.status(), 401);

    let tombstone = stored(&harness, &stolen).await;
    let presented_by = device("thief");
    assert_eq!(tombstone.revocation, Some(Revocation::Reuse { presented: 1, presented_by }));
    assert_eq!(tombstone.last_used_by.agent.as_deref(), Some("owner"));
    assert_eq!(tombstone.refresh.revoked_at, Some(session::model::Clock::now(&harness.clock)));
}

#[tokio::test]
async fn whoever_asks_again_within_the_window_leaves_a_trace() {
    let harness = Harness::new(&[]).await;
    let parent = harness.sign_in("cookie").await;
    let current = refresh(&harness, "owner", &parent).await;
    for (times, tokens) in [(1, &parent), (2, &current)] {
        harness.clock.advance(Duration::from_secs(1));
        refresh(&harness, "other", tokens).await;
        let session = stored(&harness, &parent).await;
        let elsewhere = Some(device("other"));
        assert_eq!(session.repeats, Some(Repeats { times, generation: 2, elsewhere }));
        assert_eq!(session.last_used_by, device("owner"));
    }
}

/// The refresh rule takes such a thief for a second tab.
#[tokio::test]
async fn a_thief_who_follows_every_refresh_is_counted_until_one_goes_without() {
    let harness = Harness::new(&[]).await;
    let mut tokens = harness.sign_in("cookie").await;
    let times = async |tokens: &Tokens| stored(&harness, tokens).await.repeats.unwrap().times;
    for n in 1..=Repeats::MANY {
        harness.clock.advance(Duration::from_hours(1));
        tokens = refresh(&harness, "owner", &tokens).await;
        harness.clock.advance(Duration::from_secs(1));
        refresh(&harness, "thief", &tokens).await;
        assert_eq!(times(&tokens).await, n);
    }
    for _ in 0..2 {
        harness.clock.advance(Duration::from_hours(1));
        tokens = refresh(&harness, "owner", &tokens).await;
    }
    harness.clock.advance(Duration::from_secs(1));
    refresh(&harness, "owner", &tokens).await;
    assert_eq!(times(&tokens).await, 1);
}
