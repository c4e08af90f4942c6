//! Connecting: TCP, handshake, host key, login; in this order, each with a limit.

use super::{Credential, SshTarget};
use crate::site::DeviceError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::ExposeSecret;
use ssh2::{ErrorCode, HashType, MethodType, Session};
use std::net::{TcpStream, ToSocketAddrs};

/// LIBSSH2_ERROR_KEX_FAILURE: no common algorithm (`rust-dependencies.md` § 3.3).
const KEX_FAILURE: i32 = -5;
/// LIBSSH2_ERROR_PASSWORD_EXPIRED.
const PASSWORD_EXPIRED: i32 = -15;
/// LIBSSH2_ERROR_FILE: the private key or its passphrase cannot be used.
const KEY_FILE: i32 = -16;
/// LIBSSH2_ERROR_AUTHENTICATION_FAILED.
const AUTHENTICATION_FAILED: i32 = -18;
/// LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED: the server did not take the key's signature.
const PUBLICKEY_UNVERIFIED: i32 = -19;

/// A connection that did not come about.
pub(super) struct Failed {
    /// What to say.
    pub error: DeviceError,
    /// Trying again with the same credential can only harm.
    pub latches: bool,
}

impl Failed {
    /// May be tried again.
    pub fn passing(error: DeviceError) -> Self {
        Self {
            error,
            latches: false,
        }
    }
}

/// Blocks for at most a few times `connect_limit`.
pub(super) fn open(target: &SshTarget) -> Result<(Session, TcpStream), Failed> {
    let tcp = dial(target).map_err(Failed::passing)?;
    let unusable =
        |e: &dyn std::fmt::Display| Failed::passing(DeviceError::unreachable(&target.device, e));
    let copy = tcp.try_clone().map_err(|e| unusable(&e))?;
    let mut session = Session::new().map_err(|e| unusable(&e))?;
    session.set_tcp_stream(copy);
    session.set_timeout(milliseconds(target.connect_limit));
    session
        .handshake()
        .map_err(|e| Failed::passing(handshake_failed(target, &session, &e)))?;
    compare_host_key(target, &session).map_err(Failed::passing)?;
    log_in(target, &session)?;
    Ok((session, tcp))
}

/// For `set_timeout`: 0 would mean no limit at all.
pub(super) fn milliseconds(limit: std::time::Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn dial(target: &SshTarget) -> Result<TcpStream, DeviceError> {
    let place = format!("{}:{}", target.address, target.port);
    let failed = |e: &dyn std::fmt::Display| {
        DeviceError::unreachable(&target.device, format!("{place}: {e}"))
    };
    let addresses = (target.address.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|e| failed(&e))?;
    let mut last = failed(&"the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, target.connect_limit) {
            Ok(tcp) => {
                // Without it a short answer waits 40 ms for an acknowledgement.
                tcp.set_nodelay(true).map_err(|e| failed(&e))?;
                return Ok(tcp);
            }
            Err(e) => last = failed(&e),
        }
    }
    Err(last)
}

fn handshake_failed(target: &SshTarget, session: &Session, error: &ssh2::Error) -> DeviceError {
    if error.code() != ErrorCode::Session(KEX_FAILURE) {
        return DeviceError::unreachable(
            &target.device,
            format!("the SSH handshake failed: {error}"),
        );
    }
    let offer = |kind: MethodType| {
        session
            .supported_algs(kind)
            .map(|all| all.join(","))
            .unwrap_or_default()
    };
    let text = format!(
        "its SSH server shares no algorithm with this operator; allow one of ours there: key exchange {}; host key {}; cipher {}; MAC {}",
        offer(MethodType::Kex),
        offer(MethodType::HostKey),
        offer(MethodType::CryptCs),
        offer(MethodType::MacCs),
    );
    DeviceError::refused(&target.device, "NoCommonAlgorithm", text)
}

/// Before the login: a stranger must not even see the user's name.
fn compare_host_key(target: &SshTarget, session: &Session) -> Result<(), DeviceError> {
    let Some(hash) = session.host_key_hash(HashType::Sha256) else {
        let text = "its SSH server showed no host key";
        return Err(DeviceError::unreachable(&target.device, text));
    };
    let seen = format!("SHA256:{}", STANDARD_NO_PAD.encode(hash));
    if target.host_keys.contains(&seen) {
        return Ok(());
    }
    let field = &target.host_keys_field;
    if target.host_keys.is_empty() {
        let text = format!(
            "it shows the host key {seen}; compare it on the system itself (ssh-keygen -lf on its host key files) and write it to {field}"
        );
        return Err(DeviceError::refused(
            &target.device,
            "HostKeyNotPinned",
            text,
        ));
    }
    let text = format!(
        "it shows the host key {seen}, pinned is {}: another system answers, or its key was renewed or is of another type; find out which before you change {field}. Nothing was sent, no login was tried",
        target.host_keys.join(" or ")
    );
    Err(DeviceError::refused(&target.device, "HostKeyChanged", text))
}

/// One attempt.
fn log_in(target: &SshTarget, session: &Session) -> Result<(), Failed> {
    let attempt = match &target.credential {
        Credential::Password(password) => {
            session.userauth_password(&target.username, password.expose_secret())
        }
        Credential::Key { text, passphrase } => session.userauth_pubkey_memory(
            &target.username,
            None,
            text.expose_secret(),
            passphrase.as_ref().map(ExposeSecret::expose_secret),
        ),
    };
    let Err(error) = attempt else {
        return Ok(());
    };
    let user = &target.username;
    let (code, text) = match error.code() {
        ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED) => (
            "LoginFailed",
            format!(
                "user {user} was not let in; the login is not tried again until the Secret or the environment changes (a label is enough)"
            ),
        ),
        ErrorCode::Session(PASSWORD_EXPIRED) => (
            "LoginFailed",
            format!(
                "the password of user {user} has expired; change it and write it to the Secret"
            ),
        ),
        ErrorCode::Session(KEY_FILE) => (
            "KeyNotReadable",
            format!(
                "the private key of user {user} cannot be used: wrong passphrase, or not an OpenSSH, PKCS#1 or PKCS#8 key"
            ),
        ),
        ErrorCode::Session(_) | ErrorCode::SFTP(_) => {
            return Err(Failed::passing(DeviceError::unreachable(
                &target.device,
                format!("the login of user {user} was interrupted: {error}"),
            )));
        }
    };
    Err(Failed {
        error: DeviceError::refused(&target.device, code, text),
        latches: true,
    })
}
