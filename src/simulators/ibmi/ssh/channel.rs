//! One channel with its command: an exec, or the resident helper.

use super::*;
use std::time::Instant;

/// One channel with its command.
pub(super) struct Running {
    pub(super) wire: Arc<Wire>,
    pub(super) login: Login,
    pub(super) handle: Handle,
    pub(super) channel: ChannelId,
    pub(super) input: UnboundedReceiver<Input>,
}

impl Running {
    pub(super) async fn command(mut self, command: String) {
        let stdin = if command.contains("cat >") {
            self.everything().await
        } else {
            Vec::new()
        };
        while shell::hangs(&self.wire.shared.now(), &self.login.partition) {
            if self.wire.is_closed() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let outcome = shell::exec(&self.wire.shared, &self.login, &command, &stdin).await;
        self.answer(outcome).await;
    }

    async fn everything(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(Input::Bytes(more)) = self.input.recv().await {
            all.extend(more);
        }
        all
    }

    /// What the client sees. It may be gone; then nobody is there to be told.
    async fn answer(&self, mut outcome: Outcome) {
        if outcome.hangs {
            return;
        }
        let (handle, channel) = (&self.handle, self.channel);
        if outcome.dropped {
            if outcome.torn {
                let _ = handle.data(channel, outcome.stdout).await;
            }
            self.wire.cut();
            return;
        }
        let (before, mut long, behind) = outcome.halves();
        if !before.is_empty() {
            let _ = handle.data(channel, before).await;
        }
        while let Some(more) = long
            .as_mut()
            .and_then(|long| long.more(&self.wire.shared, &self.login))
        {
            if self.wire.is_closed() || handle.data(channel, more).await.is_err() {
                return;
            }
        }
        if long.is_some_and(|long| !long.is_over()) {
            self.wire.cut();
            return;
        }
        if !behind.is_empty() {
            let _ = handle.data(channel, behind).await;
        }
        if !outcome.stderr.is_empty() {
            let _ = handle.extended_data(channel, 1, outcome.stderr).await;
        }
        if let Some(status) = outcome.status {
            let _ = handle.exit_status_request(channel, status).await;
        }
        let _ = handle.eof(channel).await;
        let _ = handle.close(channel).await;
    }

    pub(super) async fn helper(mut self) {
        let started = {
            let mut world = self.wire.shared.now();
            let banner = view(&world, &self.login.partition)
                .map(|(_, d)| d.profile_banner.clone())
                .unwrap_or_default();
            helper::start(&mut world, &self.login.partition, &self.login.user)
                .map(|id| (id, banner))
        };
        let Some((id, banner)) = started else {
            let outcome = Outcome {
                stderr: b"CPD0170: Program HELPER in library IBMICLONE not found.\n".to_vec(),
                status: Some(255),
                ..Outcome::default()
            };
            self.answer(outcome).await;
            return;
        };
        if !banner.is_empty() {
            let _ = self.handle.data(self.channel, banner.into_bytes()).await;
        }
        let mut buffer = Vec::new();
        loop {
            let Some(line) = self.next_line(&mut buffer).await else {
                break;
            };
            if !self.serve_line(id, &line).await {
                return;
            }
        }
        self.end(id);
    }

    async fn next_line(&mut self, buffer: &mut Vec<u8>) -> Option<String> {
        loop {
            if let Some(at) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=at).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            match self.input.recv().await {
                Some(Input::Bytes(more)) => buffer.extend(more),
                Some(Input::End) | None => return None,
            }
        }
    }

    /// `false` = the helper has ended.
    async fn serve_line(&self, id: u64, line: &str) -> bool {
        let arrived = Instant::now();
        let partition = &self.login.partition;
        let waiting = helper::waiting(&mut self.wire.shared.now(), partition, line);
        if waiting.milliseconds > 0 {
            let wait = Duration::from_millis(waiting.milliseconds);
            self.wire.shared.clock().sleep(wait).await;
        }
        let reply = {
            let mut world = self.wire.shared.now();
            if !shell::alive(&world, &self.login) {
                self.wire.cut();
                return false;
            }
            let at = world.now;
            world.ledger.request(RequestLine {
                at,
                device: partition.clone(),
                operation: line.split(' ').skip(1).collect::<Vec<_>>().join(" "),
                answer: String::new(),
                milliseconds: waiting.milliseconds,
                microseconds: None,
            });
            let reply = helper::request(&mut world, partition, id, line, &waiting);
            world.ledger.took(partition, arrived.elapsed());
            reply
        };
        match reply {
            Reply::Line(answer) => {
                let text = format!("{answer}\n").into_bytes();
                let sent = self.handle.data(self.channel, text).await;
                let over = view(&self.wire.shared.now(), partition)
                    .is_none_or(|(s, _)| !s.helpers.contains_key(&id));
                if over {
                    let outcome = Outcome {
                        status: Some(0),
                        ..Outcome::default()
                    };
                    self.answer(outcome).await;
                    return false;
                }
                if sent.is_err() {
                    // An answer that cannot be written ends the helper (§ 3.5).
                    self.end(id);
                    return false;
                }
                true
            }
            Reply::Silence => true,
            Reply::Gone => {
                self.wire.cut();
                false
            }
        }
    }

    fn end(&self, id: u64) {
        let mut world = self.wire.shared.now();
        let silent = matches!(
            world.faults.take(Device::IbmI, &self.login.partition, "EOF"),
            Some(FaultKind::Special(name)) if name == "silent-loss"
        );
        let same = world
            .systems
            .get(&self.login.partition)
            .is_some_and(|s| s.generation() == self.login.generation);
        if same && !silent {
            helper::end_of_channel(&mut world, &self.login.partition, id);
        }
    }
}
