//! Which commands the door lets through: guestpass's own scripts, or all that callers can share one
//! connection for.

use guestpass_core::config::RestCommands;
use guestpass_core::store::redis::SCRIPTS;
use guestpass_core::store::script::Script;

use super::request::Words;

/// Why a command is not run, as Redis would put it.
pub(super) type Refusal = String;

const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";

/// Checks a command. Answers the script of guestpass that it runs, if it is known to run one.
pub(super) fn check(open: RestCommands, words: &Words) -> Result<Option<&'static Script>, Refusal> {
    let Some((name, args)) = words.split_first() else {
        return Err("ERR empty command".to_owned());
    };
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    match open {
        RestCommands::Scripts => own_scripts(&name, args),
        RestCommands::All => shared_connection(&name, args).map(|()| script_of(&name, args)),
    }
}

/// The script that EVALSHA names.
fn by_digest(digest: &[u8]) -> Option<&'static Script> {
    SCRIPTS.iter().find(|script| script.sha1().as_bytes().eq_ignore_ascii_case(digest)).copied()
}

/// The script whose text this is.
fn by_source(source: &[u8]) -> Option<&'static Script> {
    SCRIPTS.iter().find(|script| script.source().as_bytes() == source).copied()
}

fn script_of(name: &str, args: &[Vec<u8>]) -> Option<&'static Script> {
    match (name, args) {
        ("EVALSHA", [digest, ..]) => by_digest(digest),
        ("EVAL", [source, ..]) => by_source(source),
        _ => None,
    }
}

fn own_scripts(name: &str, args: &[Vec<u8>]) -> Result<Option<&'static Script>, Refusal> {
    let unknown = || {
        "NOPERM this script is none of this guestpass's own (is another version running elsewhere?)"
            .to_owned()
    };
    match (name, args) {
        ("PING", _) => Ok(None),
        ("EVALSHA", [digest, ..]) => {
            by_digest(digest).map(Some).ok_or_else(|| NO_SCRIPT.to_owned())
        }
        ("EVAL", [source, ..]) => by_source(source).map(Some).ok_or_else(unknown),
        ("SCRIPT", [sub, source]) if sub.eq_ignore_ascii_case(b"LOAD") => {
            by_source(source).map(Some).ok_or_else(unknown)
        }
        ("SCRIPT", [sub, ..]) if sub.eq_ignore_ascii_case(b"EXISTS") => Ok(None),
        _ => Err("NOPERM this door runs guestpass's own scripts only (REDIS_REST_COMMANDS=all opens it to other commands)"
            .to_owned()),
    }
}

/// Refuses what would change the state of the connection for everybody, or hold everybody up.
fn shared_connection(name: &str, args: &[Vec<u8>]) -> Result<(), Refusal> {
    let sub = args.first().map(|sub| String::from_utf8_lossy(sub).to_ascii_uppercase());
    let sub = sub.as_deref().unwrap_or_default();
    let instead = match name {
        "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "UNWATCH" => "POST a transaction to /multi-exec",
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE"
        | "SUNSUBSCRIBE" | "MONITOR" => "it never ends",
        "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BLMPOP" | "BZPOPMIN" | "BZPOPMAX"
        | "BZMPOP" | "WAIT" | "WAITAOF" => "it blocks",
        "XREAD" | "XREADGROUP" if blocks(args) => "it blocks",
        "CLIENT" if !matches!(sub, "ID" | "INFO" | "LIST" | "GETNAME" | "HELP") => {
            "it is about a connection that many share"
        }
        "SELECT" | "AUTH" | "HELLO" | "QUIT" | "RESET" | "ASKING" | "READONLY" | "READWRITE" => {
            "it is about a connection that many share"
        }
        "SCRIPT" if sub == "DEBUG" => "it is about a connection that many share",
        "SHUTDOWN" | "DEBUG" | "SYNC" | "PSYNC" | "REPLCONF" | "REPLICAOF" | "SLAVEOF"
        | "FAILOVER" | "PFDEBUG" => "it is for the server's operator",
        _ => return Ok(()),
    };
    Err(format!("ERR {name} is not available over REST: {instead}"))
}

/// Whether XREAD or XREADGROUP asks to wait. Groups and consumers may have any name.
fn blocks(args: &[Vec<u8>]) -> bool {
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"BLOCK" => return true,
            b"STREAMS" => return false,
            b"GROUP" => drop((rest.next(), rest.next())),
            b"COUNT" => drop(rest.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(open: RestCommands, words: &[&str]) -> Result<Option<&'static str>, String> {
        let words: Words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        check(open, &words).map(|script| script.map(Script::name))
    }

    fn scripts(words: &[&str]) -> Result<Option<&'static str>, String> {
        verdict(RestCommands::Scripts, words)
    }

    #[test]
    fn guestpass_scripts_are_known_by_digest_and_by_source() {
        for script in SCRIPTS {
            let (name, sha1, source) = (script.name(), script.sha1(), script.source());
            assert_eq!(scripts(&["EVALSHA", sha1, "0"]), Ok(Some(name)));
            assert_eq!(scripts(&["evalsha", &sha1.to_uppercase(), "0"]), Ok(Some(name)));
            assert_eq!(scripts(&["EVAL", source, "0"]), Ok(Some(name)));
            assert_eq!(scripts(&["Script", "load", source]), Ok(Some(name)));
        }
        assert_eq!(scripts(&["ping"]), Ok(None));
        assert_eq!(scripts(&["SCRIPT", "EXISTS", "abc"]), Ok(None));
    }

    #[test]
    fn other_scripts_are_not_run() {
        let source = SCRIPTS[0].source();
        for words in [
            &["EVAL", "return 1", "0"][..],
            &["EVAL", &format!("{source} "), "0"],
            &["EVAL", &source[..source.len() - 1], "0"],
            &["EVAL"],
            &["EVAL_RO", source, "0"],
            &["EVALSHA_RO", SCRIPTS[0].sha1(), "0"],
            &["SCRIPT", "LOAD", "return 1"],
            &["SCRIPT", "LOAD", source, "more"],
            &["SCRIPT", "FLUSH"],
            &["SCRIPT"],
            &["EVALSHA"],
            &["GET", "EVAL"],
            &["ping ", "x"],
            &[""],
        ] {
            let refusal = scripts(words).unwrap_err();
            assert!(refusal.starts_with("NOPERM "), "{words:?}: {refusal}");
        }
        for digest in ["", "ffffffffffffffffffffffffffffffffffffffff", &SCRIPTS[0].sha1()[1..]] {
            assert_eq!(scripts(&["EVALSHA", digest, "0"]), Err(NO_SCRIPT.to_owned()));
        }
        assert_eq!(scripts(&[]), Err("ERR empty command".to_owned()));
    }

    #[test]
    fn the_open_door_refuses_what_would_spoil_a_shared_connection() {
        let all = |words: &[&str]| verdict(RestCommands::All, words);
        for words in [
            &["multi"][..],
            &["Exec"],
            &["WATCH", "k"],
            &["DISCARD"],
            &["SUBSCRIBE", "c"],
            &["ssubscribe", "c"],
            &["MONITOR"],
            &["BLPOP", "k", "0"],
            &["XREAD", "COUNT", "1", "block", "0", "STREAMS", "s", "$"],
            &["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"],
            &["WAIT", "1", "0"],
            &["CLIENT", "reply", "OFF"],
            &["CLIENT", "KILL", "TYPE", "normal"],
            &["CLIENT", "NO-EVICT", "on"],
            &["CLIENT"],
            &["SELECT", "1"],
            &["AUTH", "x"],
            &["HELLO", "3"],
            &["QUIT"],
            &["RESET"],
            &["SHUTDOWN"],
            &["DEBUG", "SLEEP", "100"],
            &["SCRIPT", "DEBUG", "YES"],
            &["PSYNC", "?", "-1"],
            &["REPLICAOF", "NO", "ONE"],
        ] {
            let refusal = all(words).unwrap_err();
            assert!(refusal.starts_with("ERR ") && refusal.contains("over REST"), "{words:?}");
        }
    }

    #[test]
    fn the_open_door_lets_everything_else_through() {
        let all = |words: &[&str]| verdict(RestCommands::All, words);
        for words in [
            &["SET", "k", "BLPOP"][..],
            &["XREAD", "COUNT", "1", "STREAMS", "block", "0"],
            &["XREADGROUP", "GROUP", "BLOCK", "block", "STREAMS", "s", ">"],
            &["CLIENT", "id"],
            &["EVAL", "return 1", "0"],
            &["SCRIPT", "FLUSH"],
            &["NOSUCHCOMMAND"],
        ] {
            assert_eq!(all(words), Ok(None), "{words:?}");
        }
        let known = ["EVALSHA", SCRIPTS[0].sha1(), "0"];
        assert_eq!(all(&known), Ok(Some(SCRIPTS[0].name())));
    }
}
