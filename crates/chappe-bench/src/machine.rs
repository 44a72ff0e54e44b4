//! What a figure is worth nothing without: machine, date, flags and versions.

use std::{fs, time::SystemTime};

/// A list in markdown.
pub fn describe(peers: &[&str]) -> String {
    let flags = env!("BENCH_RUSTFLAGS");
    let flags = if flags.is_empty() { "none (default target)" } else { flags };
    let versions: Vec<_> = peers.iter().map(|name| format!("{name} {}", version(name))).collect();
    format!(
        "- machine: {}; {} logical CPUs; AES-NI {}, SHA-NI {}, VAES {}, AVX-512 F/IFMA {}/{}\n\
         - load while measuring: {}\n- date: {}\n- build: {}, release, RUSTFLAGS: {flags}\n\
         - beside: {}; OpenSSL {}\n",
        cpu_name(),
        std::thread::available_parallelism().map_or(0, usize::from),
        yes(is_x86_feature_detected!("aes")),
        yes(is_x86_feature_detected!("sha")),
        yes(is_x86_feature_detected!("vaes")),
        yes(is_x86_feature_detected!("avx512f")),
        yes(is_x86_feature_detected!("avx512ifma")),
        fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "unknown".into()).trim(),
        date(),
        env!("BENCH_RUSTC"),
        versions.join(", "),
        env!("BENCH_OPENSSL"),
    )
}

/// Returns whether the program was built for this very CPU.
pub fn is_native() -> bool {
    env!("BENCH_RUSTFLAGS").contains("target-cpu=native")
}

fn yes(is_there: bool) -> &'static str {
    if is_there { "yes" } else { "no" }
}

fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    format!("{}, family {} model {}", field("model name"), field("cpu family"), field("model\t"))
}

fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    // Of several versions, sorted, the last is the one that is measured.
    let package =
        lock.split("[[package]]").filter(|package| package.contains(&format!("name = \"{name}\"\n"))).last();
    let line = package.and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")));
    line.map_or("(unknown)", |version| version.trim_matches('"'))
}

/// Today, as year, month and day.
fn date() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (mut days, mut year) = (seconds / 86_400, 1970);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}
