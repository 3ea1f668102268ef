use futures_util::future::join_all;
use platform::clock::Clock;
use testing::ADMIN_PASSWORD;

use crate::{Auth, PASSWORD, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_wrong_logins_at_once_never_pass_the_accounts_limit() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 7).await;
    for account in ["admin", "nobody-at-all"] {
        let passwords: Vec<String> = (0..50).map(|i| format!("wrong-{i}")).collect();
        let answers = join_all(passwords.iter().map(|password| auth.log_in(account, password))).await;
        let looked_at = answers.iter().filter(|a| statuses(a) == (401, 6)).count();
        let sent_away: Vec<_> = answers.iter().filter(|a| statuses(a) == (429, 9)).collect();
        assert_eq!((looked_at, sent_away.len()), (7, 43), "{account}");
        for answer in sent_away {
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=900).contains(&wait), "{account}: {wait}");
        }
    }
    // The lock holds for the right password too, in the same words as for nobody.
    assert_eq!(statuses(&auth.log_in("admin", ADMIN_PASSWORD).await), (429, 9));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_says_the_same_whether_the_account_exists_or_not() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 1).await;
    let mut told = Vec::new();
    for account in ["admin", "nobody"] {
        assert_eq!(statuses(&auth.log_in(account, "wrong").await), (401, 6));
        let mut body = auth.log_in(account, "wrong").await.json();
        let error = body["error"].as_str().unwrap().to_owned();
        let digits: String = error.chars().filter(char::is_ascii_digit).collect();
        body["error"] = error.replace(&digits, "N").into();
        told.push(body);
    }
    assert_eq!(told[0], told[1]);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_follows_the_name_in_whatever_case_it_is_typed() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 2).await;
    for account in ["admin", "Admin"] {
        assert_eq!(statuses(&auth.log_in(account, "wrong").await), (401, 6));
    }
    assert_eq!(statuses(&auth.log_in(" ADMIN ", ADMIN_PASSWORD).await), (429, 9));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_forgets_the_failures_of_its_account() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 3).await;
    for _ in 0..4 {
        for _ in 0..2 {
            assert_eq!(statuses(&auth.log_in("admin", "wrong").await), (401, 6));
        }
        auth.token("admin", ADMIN_PASSWORD).await;
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_names_from_one_address_are_stopped_and_right_logins_do_not_count() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_address = 4).await;
    for _ in 0..6 {
        auth.token("admin", ADMIN_PASSWORD).await;
    }
    let names: Vec<String> = (0..20).map(|i| format!("somebody-{i}")).collect();
    let answers = join_all(names.iter().map(|name| auth.log_in(name, PASSWORD))).await;
    let looked_at = answers.iter().filter(|a| statuses(a) == (401, 6)).count();
    let sent_away = answers.iter().filter(|a| statuses(a) == (429, 9)).count();
    assert_eq!((looked_at, sent_away), (4, 16));
    assert_eq!(
        statuses(&auth.log_in("admin", ADMIN_PASSWORD).await),
        (429, 9),
        "the address waits for all names"
    );
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_program_that_logs_in_many_times_at_once_does_not_lock_itself_out() {
    let auth = Auth::with(Clock::system(), |s| {
        s.auth.login_failures_per_account = 2;
        s.auth.login_failures_per_address = 1000;
    })
    .await;
    let answers = join_all((0..8).map(|_| auth.log_in("admin", ADMIN_PASSWORD))).await;
    for answer in answers {
        answer.expect_status(200);
    }
    auth.finish().await;
}
