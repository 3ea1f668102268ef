use std::process::Output;

use testing::Mode;

use crate::{process::run, system::System};

/// Runs `rotate-keys` in each program that has sealed values, beside the running system.
fn rotate(system: &System, arguments: &[&str]) -> Vec<Output> {
    let programs: &[&str] = match Mode::current() {
        Mode::Embedded => &["baodan"],
        Mode::Distributed => &["auth-service", "sync-service"],
    };
    programs.iter().map(|p| run(system.command(p).arg("rotate-keys").args(arguments))).collect()
}

fn said(outputs: &[Output]) -> String {
    outputs
        .iter()
        .map(|o| format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr)))
        .collect()
}

/// The house's signing key is sealed at the first start, so there is something to move.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_key_is_rotated_beside_the_running_system_and_the_old_one_is_dropped() {
    let mut system = System::start().await;
    let (old, new) = (system.envelope_key(), "e2:a-quite-new-envelope-key-of-some-length-0042");
    system.restart_with("BAODAN_KEYS__ENVELOPE", &format!("{old},{new}")).await;
    // New first: from now on it seals. Nothing has moved yet but what the hourly job took at the start.
    system.restart_with("BAODAN_KEYS__ENVELOPE", &format!("{new},{old}")).await;
    let rotated = rotate(&system, &[]);
    assert!(rotated.iter().all(|o| o.status.success()), "{}", said(&rotated));
    let text = said(&rotated);
    assert!(text.contains("sync: signing_key.private_key: 1 values, 1 under the present key"), "{text}");
    assert!(!text.contains(&new[3..]), "{text}");
    // Under another first key everything would have to move again: counting says so and writes nothing.
    let other = format!("e3:one-more-envelope-key-of-some-length-004711,{new}");
    for _ in 0..2 {
        let counted: Vec<Output> = rotate_as(&system, &other, &["--count"]);
        assert!(counted.iter().any(|o| o.status.code() == Some(1)), "{}", said(&counted));
        let text = said(&counted);
        assert!(
            text.contains("1 values, 0 under the present key (0 sealed again now), 0 unreadable"),
            "{text}"
        );
    }
    // A key that nobody has any more.
    let lost = rotate_as(&system, "e9:an-envelope-key-that-sealed-nothing-at-all", &[]);
    assert!(lost.iter().any(|o| o.status.code() == Some(1)), "{}", said(&lost));
    assert!(said(&lost).contains("1 unreadable"), "{}", said(&lost));
    system.restart_with("BAODAN_KEYS__ENVELOPE", new).await;
    system.stop().await;
}

fn rotate_as(system: &System, keys: &str, arguments: &[&str]) -> Vec<Output> {
    let program = match Mode::current() {
        Mode::Embedded => "baodan",
        Mode::Distributed => "sync-service",
    };
    let mut command = system.command(program);
    vec![run(command.env("BAODAN_KEYS__ENVELOPE", keys).arg("rotate-keys").args(arguments))]
}
