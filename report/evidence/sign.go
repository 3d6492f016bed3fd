package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// signTagManifest makes both signatures of the signer over the tag manifest, by
// their file: one that openssl verifies, one that ssh-keygen verifies.
func signTagManifest(k Key, tagManifest []byte) (map[string][]byte, error) {
	armored, err := k.sshSign(tagManifest)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{fileEd25519: k.sign(tagManifest), fileSSHSig: armored}, nil
}

func (k Key) sshSign(message []byte) ([]byte, error) {
	signer, err := ssh.NewSignerFromKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sig, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, sshNamespace)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sshsig.Armor(sig), nil
}

// verifySSH verifies an armored signature, which must be written as ssh-keygen
// does: there is one form of it and no other.
func (p PublicKey) verifySSH(message, armored []byte) error {
	sig, err := sshsig.Unarmor(armored)
	if err != nil {
		return errors.New("this is no signature of ssh-keygen")
	}
	if !bytes.Equal(sshsig.Armor(sig), armored) {
		return errors.New("the armour is not as ssh-keygen writes it")
	}
	public, err := ssh.NewPublicKey(p.public)
	if err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(message), sig, public, sshsig.HashSHA512, sshNamespace); err != nil {
		return fmt.Errorf("the signature is not one of key %s over this file: %w", p.Fingerprint(), err)
	}
	return nil
}
