use proptest::prelude::*;

use super::{View, read};
use crate::ConvertError;

/// A protocol 4 pickle of these opcodes.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x04", body, b"."].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn refused(bytes: &[u8]) -> String {
    read("x.pkl", bytes).expect_err("it must be refused").to_string()
}

#[test]
fn data_is_read_as_python_means_it() {
    // {"a": [1, -2, 2**40, 1.5], "b": (True, None), "a": "last"}
    let body = [
        b"}(".to_vec(),
        text("a"),
        b"](K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01G\x3f\xf8\x00\x00\x00\x00\x00\x00e"
            .to_vec(),
        text("b"),
        b"\x88N\x86".to_vec(),
        text("c"),
        text("last"),
        b"u".to_vec(),
    ]
    .concat();
    let document = read("x.pkl", &pickle(&body)).expect("data");
    let root = document.root();
    let list: Vec<View<'_>> = root.get("a").and_then(View::list).expect("a list").collect();
    assert_eq!(
        list.iter().map(|v| v.number()).collect::<Vec<_>>(),
        [Some(1.0), Some(-2.0), Some((1_u64 << 40) as f64), Some(1.5)]
    );
    assert_eq!(list[1].whole(), None);
    let pair: Vec<View<'_>> = root.get("b").and_then(View::list).expect("a tuple").collect();
    assert!(pair[0].flag() == Some(true) && pair[1].is_none());
    assert_eq!(root.get("c").and_then(View::text), Some("last"));
}

#[test]
fn what_would_run_code_is_refused_by_its_name() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("numpy", "load"),
        ("functools", "partial"),
        ("collections", "OrderedDict.__class__"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ] {
        let by_line = [format!("c{module}\n{name}\n").into_bytes(), text("id"), b"\x85R".to_vec()].concat();
        let by_stack = [text(module), text(name), b"\x93".to_vec(), text("id"), b"\x85R".to_vec()].concat();
        for body in [by_line, by_stack] {
            let told = refused(&pickle(&body));
            assert!(told.contains(&format!("{module}.{name}")) && told.contains("executed"), "{told}");
        }
    }
    let told = refused(b"\x80\x04cos\x1b[2J\nsystem\n.");
    assert!(!told.contains('\u{1b}'), "what is shown to people holds no escape sequence");
}

#[test]
fn bombs_end_at_a_bound() {
    let told = refused(&pickle(&b"(".repeat(100_000)));
    assert!(told.contains("nested"), "{told}");
    let told = refused(&pickle(&b"N".repeat(1_000_002)));
    assert!(told.contains("wait"), "{told}");
    // A text that claims 4 GiB, an entry far out in the memo, one that is not there.
    for (body, word) in [
        (&b"X\xff\xff\xff\xffabc"[..], "bytes"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "bytes"),
        (b"Nr\xff\xff\xff\x7f", "memo"),
        (b"j\x05\x00\x00\x00", "memo"),
        (b"B\xff\xff\xff\x7fabc", "bytes"),
        (b"K", "early"),
    ] {
        let told = refused(&[b"\x80\x04", body].concat());
        assert!(told.contains(word), "{told}");
    }
}

/// Each list holds the one before it ten times: 10^30 values for whoever follows them, thirty lists here.
#[test]
fn shared_lists_are_not_multiplied() {
    let mut body = b"]q\x00".to_vec();
    for i in 0..30_u8 {
        body.extend(b"0](");
        body.extend([b'h', i].repeat(10));
        body.extend([b'e', b'q', i + 1]);
    }
    let document = read("x.pkl", &pickle(&body)).expect("it is small");
    assert_eq!(document.nodes.len(), 31);
}

/// A list that holds itself, and a dictionary under its own key.
#[test]
fn circles_do_no_harm() {
    let document = read("x.pkl", &pickle(b"]q\x00h\x00a")).expect("a list");
    assert_eq!(document.root().list().expect("a list").len(), 1);
    let document = read("x.pkl", &pickle(b"}q\x00h\x00h\x00s")).expect("a dictionary");
    assert!(document.root().get("x").is_none());
}

#[test]
fn broken_order_is_refused() {
    for body in [
        &b"0"[..],
        b"t",
        b"(0N",
        b"N(0",
        b"NN",
        b"Na",
        b"]Ns",
        b"}(Nu",
        b"R",
        b"NNR",
        b"(N",
        b"\x93",
        b"Q",
        b"NQ",
        b"Nb",
        b"NNb",
        b"I1\n",
        b"\x82\x01",
        b"\x97",
        b"P1\n",
        b"i",
        b"",
    ] {
        assert!(matches!(read("x.pkl", &pickle(body)), Err(ConvertError::Pickle { .. })), "{body:?}");
    }
    assert!(refused(b"\x80\x01N.").contains("protocol"));
    assert!(refused(b"").contains("early"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read("x.pkl", &bytes);
    }

    #[test]
    fn no_row_of_opcodes_is_too_much(picks in proptest::collection::vec(0_usize..40, 0..200)) {
        const PARTS: [&[u8]; 40] = [
            b"N", b"\x88", b"K\x07", b"J\x01\x00\x00\x00", b"]", b"}", b")", b"(", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e",
            b"s", b"u", b"q\x00", b"h\x00", b"\x94", b"R", b"\x81", b"b", b"Q", b"0", b"1", b"2", b"X\x01\x00\x00\x00a",
            b"X\x07\x00\x00\x00storage", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nSize\n",
            b"ctorch\nFloatStorage\n", b"cargparse\nNamespace\n", b"ctorch\nbfloat16\n", b"\x8f", b"\x90", b"\x91", b"C\x02ab",
            b"\x92", b"ctorch._utils\n_rebuild_parameter\n",
        ];
        let body: Vec<u8> = picks.iter().flat_map(|pick| PARTS[*pick].to_vec()).collect();
        let _ = read("x.pkl", &pickle(&body));
    }
}
