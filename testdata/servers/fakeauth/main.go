// Command fakeauth lets any user sign in with one password, for mail servers
// on loopback that tests run.
//
//	fakeauth saslauthd SOCKET PASSWORD      in the place of saslauthd, for Cyrus
//	fakeauth authpipe MAILSTORE PASSWORD    an authpipe program for Courier, on stdin and stdout
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: fakeauth saslauthd|authpipe PATH PASSWORD")
	}
	var err error
	switch path, password := os.Args[2], os.Args[3]; os.Args[1] {
	case "saslauthd":
		err = saslauthd(path, password)
	case "authpipe":
		err = authpipe(os.Stdin, os.Stdout, path, password)
	default:
		err = fmt.Errorf("no mode %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// saslauthd answers on a Unix socket. A request is four counted strings: user,
// password, service, realm.
func saslauthd(socket, password string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			if err := answer(c, password); err != nil {
				log.Print(err)
			}
		}()
	}
}

func answer(c io.ReadWriter, password string) error {
	var fields [4]string
	for i := range fields {
		var n uint16
		if err := binary.Read(c, binary.BigEndian, &n); err != nil {
			return err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		fields[i] = string(b)
	}
	reply := "NO"
	if fields[1] == password {
		reply = "OK"
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// authpipe answers the requests of Courier's authdaemond, and makes the
// Maildir of a user who signs in for the first time.
func authpipe(in io.Reader, out io.Writer, store, password string) error {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		reply := "FAIL\n"
		switch f := strings.Fields(line); {
		case len(f) == 4 && f[0] == "PRE":
			reply, err = userRecord(store, f[3])
		case len(f) == 2 && f[0] == "AUTH":
			reply, err = login(r, f[1], store, password)
		case len(f) == 1 && f[0] == "ENUMERATE":
			reply = ".\n"
		}
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, reply); err != nil {
			return err
		}
	}
}

// login reads service, type, user and password, one on a line.
func login(r io.Reader, size, store, password string) (string, error) {
	n, err := strconv.ParseUint(size, 10, 16)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	f := strings.Split(string(b), "\n")
	if len(f) < 4 || f[1] != "login" || f[3] != password {
		return "FAIL\n", nil
	}
	return userRecord(store, f[2])
}

func userRecord(store, user string) (string, error) {
	const owner = 5000
	home := filepath.Join(store, strings.ReplaceAll(user, "/", "_"))
	for _, dir := range []string{"", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"} {
		dir = filepath.Join(home, dir)
		if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return "", err
		}
		if err := os.Chown(dir, owner, owner); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("UID=%d\nGID=%d\nHOME=%s\nADDRESS=%s\nMAILDIR=Maildir\nOPTIONS=\n.\n", owner, owner, home, user), nil
}
