//! The operator as a process of its own, and what a process uses, read from /proc.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The operator; ends with the bench.
pub struct Operator(Child);

impl Operator {
    /// Starts it with these arguments.
    pub fn start(kubeconfig: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_ibmi-clone"))
            .arg("operator")
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Memory of a process, MiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub now_mib: u64,
    pub peak_mib: u64,
}

pub fn usage(pid: u32) -> Usage {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mib = |key: &str| {
        let line = status.lines().find(|l| l.starts_with(key));
        let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or_default() / 1024
    };
    Usage {
        now_mib: mib("VmRSS"),
        peak_mib: mib("VmHWM"),
    }
}

/// User and system time so far, seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold blanks; fields are counted behind it.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // Linux counts in hundredths of a second on every machine this runs on.
    (ticks(11) + ticks(12)) / 100.0
}

/// User and system time so far of all processes of these names, seconds.
#[allow(dead_code, reason = "not every bench shares its machine with servers")]
pub fn cpu_seconds_of(names: &[&str]) -> f64 {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|p| p.file_name().to_str()?.parse::<u32>().ok());
    let of_these = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        names.contains(&name.trim())
    };
    pids.filter(of_these).map(cpu_seconds).sum()
}
