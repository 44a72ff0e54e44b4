//! The program `chappe-proxy`.

use std::process::ExitCode;

use chappe_proxy::program::Arguments;
use clap::Parser as _;

fn main() -> ExitCode {
    Arguments::parse().run()
}
