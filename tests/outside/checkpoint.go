// Opens a checkpoint with the verifiers of a policy, by the stock note reader of Go's checksum database
// (golang.org/x/mod/sumdb/note), and checks a record's inclusion in it with the stock tlog.
//
//	checkpoint POLICY NOTE [RECORD INDEX HASH...]
//
// It shares no code with Writ and knows only the C2SP specifications. The log keys are read by note.NewVerifier as it
// is. Cosignatures (type 0x04) are unknown to it; the verifier for them is cosigner, below.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A cosigner verifies C2SP tlog-cosignature/v1.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)), sig[8:])
}

func newCosigner(vkey string) *cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		fail("no vkey: %s", vkey)
	}
	id, err := hex.DecodeString(parts[1])
	check(err)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if len(key) != 1+ed25519.PublicKeySize || key[0] != 4 || !bytes.Equal(id, hash[:4]) {
		fail("no cosigner's vkey: %s", vkey)
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(id), key[1:]}
}

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func main() {
	policy, err := os.ReadFile(os.Args[1])
	check(err)
	text, err := os.ReadFile(os.Args[2])
	check(err)

	var verifiers []note.Verifier
	origin, group, quorum := "", "", ""
	needed, witnesses := 0, map[string]string{}
	members := map[string]bool{}
	for _, line := range strings.Split(string(policy), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "log":
			verifier, err := note.NewVerifier(words[1])
			check(err)
			verifiers, origin = append(verifiers, verifier), verifier.Name()
		case words[0] == "witness":
			verifier := newCosigner(words[2])
			verifiers = append(verifiers, verifier)
			witnesses[verifier.Name()] = words[1]
		case words[0] == "group":
			group = words[1]
			needed, err = strconv.Atoi(words[2])
			check(err)
			for _, member := range words[3:] {
				members[member] = true
			}
		case words[0] == "quorum":
			quorum = words[1]
		default:
			fail("unknown line: %s", line)
		}
	}
	if quorum == "" || quorum != group {
		fail("the quorum is of %q, the group is %q", quorum, group)
	}

	opened, err := note.Open(text, note.VerifierList(verifiers...))
	check(err)
	if len(opened.UnverifiedSigs) > 0 {
		fail("%d signatures of keys that the policy does not have", len(opened.UnverifiedSigs))
	}
	logs, cosigners := 0, 0
	for _, sig := range opened.Sigs {
		if sig.Name == origin {
			logs++
		} else if members[witnesses[sig.Name]] {
			cosigners++
		}
	}
	if logs < 1 || cosigners < needed {
		fail("%d log signatures and %d cosignatures, expected 1 and %d", logs, cosigners, needed)
	}

	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		fail("no checkpoint of %s: %q", origin, opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	fmt.Println(origin, size, root, logs, cosigners)

	if len(os.Args) > 3 {
		record, err := os.ReadFile(os.Args[3])
		check(err)
		index, err := strconv.ParseInt(os.Args[4], 10, 64)
		check(err)
		var proof tlog.RecordProof
		for _, argument := range os.Args[5:] {
			hash, err := tlog.ParseHash(argument)
			check(err)
			proof = append(proof, hash)
		}
		check(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(record)))
		fmt.Println("included", index)
	}
}
