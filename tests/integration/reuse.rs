//! What is kept of a reuse.

use session::model::{Device, Revocation};
use session::store::SessionReader as _;
use session::token::UnverifiedRefreshToken;
use testkit::harness::Tokens;
use testkit::{Harness, keys};

#[tokio::test]
async fn the_tombstone_names_both_parties_and_the_generation() {
    let harness = Harness::new(&[]).await;
    let stolen = harness.sign_in("cookie").await;
    let window = harness.config.refresh.window();
    let mut owner = stolen.clone();
    for _ in 0..2 {
        harness.clock.advance(window * 2);
        let cookie = owner.refresh_cookie();
        owner = Tokens::of(&harness.refresh(&[("cookie", &cookie), ("user-agent", "owner")]).await);
    }
    harness.clock.advance(window * 2);
    let cookie = stolen.refresh_cookie();
    let answer = harness.refresh(&[("cookie", &cookie), ("user-agent", "thief")]).await;
    assert_eq!(answer.status(), 401);

    let token = UnverifiedRefreshToken::parse(&stolen.refresh).unwrap();
    let handle = token.verify(&keys::master()).unwrap().handle;
    let tombstone = harness.store.session(&handle).await.unwrap().unwrap();
    let presented_by = Device::new(Some("thief"), Some("127.0.0.1"));
    assert_eq!(tombstone.revocation, Some(Revocation::Reuse { presented: 1, presented_by }));
    assert_eq!(tombstone.last_used_by.agent.as_deref(), Some("owner"));
    assert_eq!(tombstone.refresh.revoked_at, Some(session::model::Clock::now(&harness.clock)));
}
