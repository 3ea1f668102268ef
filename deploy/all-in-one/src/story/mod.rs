//! One whole story, told on the terminal by real calls through the gateway: sign in → report → goods → order →
//! paid → callback received and verified → a supplier works a service order off → those callbacks too.
//!
//! The same code is `baodan --demo`, `baodan story --url …` against any deployment, and the end-to-end test.

mod client;
mod inbox;
mod steps;

use secrecy::SecretString;

pub use inbox::Inbox;

/// Tells the story; the error says which step broke and what the system answered.
pub async fn tell(url: &str, admin_password: &SecretString, inbox: &Inbox) -> Result<(), String> {
    steps::Story::begin(url, inbox, admin_password).await?.tell().await
}

/// A line of the story, Chinese first.
#[allow(clippy::print_stdout)]
fn line(zh: &str, en: &str) {
    println!("  {zh}\n    {en}");
}
