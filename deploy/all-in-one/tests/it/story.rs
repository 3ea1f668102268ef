use crate::{
    process::{binary, free_port, run},
    system::{PASSWORD, System},
};

/// `baodan story` against a running system: five binaries in the distributed mode, one in the embedded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_is_told_through_the_gateway_twice() {
    let mut system = System::start().await;
    for _ in 0..2 {
        system.tell_the_story();
    }
    let logs = system.logs();
    assert!(!logs.contains(PASSWORD), "the password is in a log");
    assert!(!logs.contains("apikey=bk_"), "a supplier's key is in a log");
    system.stop().await;
}

/// The README's first command, with an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_its_story_on_a_fresh_folder() {
    if testing::Mode::current() == testing::Mode::Distributed {
        return; // the demo is the embedded mode
    }
    let folder = tempfile::tempdir().unwrap();
    let told = run(std::process::Command::new(binary("baodan"))
        .args(["--demo", "--exit", "--listen", &format!("127.0.0.1:{}", free_port())])
        .current_dir(folder.path())
        .env_clear());
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{text}\n{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("故事讲完了"), "{text}");
}
