//! A token endpoint as companies have one: it gives signed tokens to clients that know their secret.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use openssl::{
    base64::encode_block,
    bn::{BigNum, BigNumContext},
    ecdsa::EcdsaSig,
    pkey::{PKey, Private},
    sha::sha256,
};
use serde_json::json;

use crate::{certificates::new_key, process::wall_ms};

/// Who may have tokens, and as whom the broker knows the bearer.
pub(crate) const CLIENT: &str = "mirror-service";
/// The client's secret.
pub(crate) const CLIENT_SECRET: &str = "cs-Jm64-of-service";
/// How long a token is good for. librdkafka asks for a new one after four fifths of it.
pub(crate) const LIFETIME_S: i64 = 20;
/// Whom tokens are for.
pub(crate) const AUDIENCE: &str = "kafka";

/// An endpoint on a port of its own, for as long as the process lives.
pub(crate) struct TokenEndpoint {
    pub(crate) url: String,
    key: PKey<Private>,
    given: AtomicUsize,
    tokens: Mutex<Vec<String>>,
}

impl TokenEndpoint {
    pub(crate) fn start() -> &'static Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let (given, tokens) = (AtomicUsize::new(0), Mutex::default());
        let endpoint: &'static Self =
            Box::leak(Box::new(Self { url, key: new_key(), given, tokens }));
        thread::spawn(move || {
            for connection in listener.incoming() {
                endpoint.serve(connection.unwrap());
            }
        });
        endpoint
    }

    /// How many tokens were given.
    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    /// All tokens that were given.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By which a broker knows that a token is from here.
    pub(crate) fn public_keys(&self) -> String {
        let key = self.key.ec_key().unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        let point = key.public_key();
        point.affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
        let [x, y] = [x, y].map(|number| for_url(&number.to_vec_padded(32).unwrap()));
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256", "x": x, "y": y
        });
        json!({ "keys": [key] }).to_string()
    }

    fn serve(&self, mut connection: TcpStream) {
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let header = |wanted: &str| {
            let found = head.iter().filter_map(|line| line.split_once(": "));
            found
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value)
                .next()
        };
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let known = encode_block(format!("{CLIENT}:{CLIENT_SECRET}").as_bytes());
        let is_known = header("authorization") == Some(&format!("Basic {known}"));
        let asks = String::from_utf8_lossy(&body).contains("grant_type=client_credentials");
        let (status, answer) = if is_known && asks {
            (
                "200 OK",
                json!({
                    "access_token": self.token(), "token_type": "Bearer", "expires_in": LIFETIME_S
                }),
            )
        } else {
            ("401 Unauthorized", json!({ "error": "invalid_client" }))
        };
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        // A client that went away is none of our business.
        drop(connection.write_all((head + &answer).as_bytes()));
    }

    fn token(&self) -> String {
        let now = wall_ms() / 1000;
        let head = json!({ "alg": "ES256", "kid": "1", "typ": "JWT" });
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        let claims = json!({
            "sub": CLIENT, "aud": AUDIENCE, "iss": "tests", "iat": now, "exp": now.saturating_add(LIFETIME_S),
            "jti": number.to_string(), "scope": "mirror"
        });
        let [head, claims] = [head, claims].map(|part| for_url(part.to_string().as_bytes()));
        let signed = format!("{head}.{claims}");
        let signature =
            EcdsaSig::sign(&sha256(signed.as_bytes()), &self.key.ec_key().unwrap()).unwrap();
        let [r, s] = [signature.r(), signature.s()].map(|part| part.to_vec_padded(32).unwrap());
        let token = format!("{signed}.{}", for_url(&[r, s].concat()));
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        token
    }
}

/// Base64 for URLs, without its padding.
fn for_url(bytes: &[u8]) -> String {
    encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}
