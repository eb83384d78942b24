//! The file of `footman serve --config`: any text is taken, or refused in one line that says where; what is taken is printed so
//! that it says the same.
#![no_main]
#![allow(
    dead_code,
    reason = "these are the command line's own files, of which settings use a part"
)]

#[path = "../../../cli/src/args"]
mod args {
    pub(crate) mod limits;
    pub(crate) mod serve;
}
#[path = "../../../cli/src/config.rs"]
mod config;
#[path = "../../../cli/src/pem.rs"]
mod pem;
#[path = "../../../cli/src/quantity.rs"]
mod quantity;
#[path = "../../../cli/src/server_limits.rs"]
mod server_limits;

use clap::Parser;
use libfuzzer_sys::fuzz_target;

use args::serve::ServeArgs;
use config::Settings;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

fuzz_target!(|text: &str| {
    let Serve { args } = Serve::parse_from(["serve"]);
    match Settings::new(&args, text) {
        Ok(settings) => {
            let printed = settings.to_string();
            let again = Settings::new(&args, &printed).expect("what is printed is read");
            assert_eq!(again.to_string(), printed);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
