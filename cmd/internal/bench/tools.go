package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// usage is what one command took.
type usage struct {
	elapsed time.Duration
	rss     int64  // peak resident set, octets
	out     string // the end of what it printed
}

// tool is a program that copies an account from one server to another.
type tool struct {
	name string
	// copies returns the command for a copy, whose state is kept in dir, so
	// that the same command again is a differential pass.
	copies func(dir string, from, to side) (argv []string, err error)
	ok     []int  // exit statuses that are no failure, beside 0
	note   string // what its figures do not tell
}

// run carries out a command and measures it. Its output is kept for the error
// only.
func run(ctx context.Context, dir string, argv []string, ok ...int) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), passwordEnv+"="+password, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	u := usage{elapsed: time.Since(start), out: string(out.data)}
	if cmd.ProcessState != nil {
		u.rss = peakRSS(cmd.ProcessState)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, code := range ok {
			if exit.ExitCode() == code {
				return u, nil
			}
		}
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out.data)
	}
	return u, nil
}

// tail keeps the last few thousand octets of an output.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if extra := len(t.data) - 4000; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}

// flags are mailproof's own, for an account on both sides.
func flags(dir string, from, to side) []string {
	address := func(s side) string { return fmt.Sprintf("imap://%s@%s?tls=none", s.user, s.addr) }
	return []string{"--dir", dir, "--source", address(from), "--source-password", "env:" + passwordEnv,
		"--destination", address(to), "--destination-password", "env:" + passwordEnv, "--progress", "off"}
}

func mailproofTool(program string) tool {
	return tool{name: "mailproof copy", note: "A again is the first pass that reads back what was sent; one with nothing to read is measured below", copies: func(dir string, from, to side) ([]string, error) {
		return append([]string{program, "copy"}, flags(dir, from, to)...), nil
	}}
}

// peers are the tools of others that are installed here.
func peers() (installed []tool, absent []string) {
	for _, t := range []struct {
		program string
		tool    tool
	}{
		{"interimap", tool{name: "interimap", copies: interimap}},
		{"mbsync", tool{name: "mbsync", copies: mbsync}},
		{"imapsync", tool{name: "imapsync", copies: imapsync}},
		{"offlineimap", tool{name: "offlineimap", copies: offlineimap}},
	} {
		if _, err := exec.LookPath(t.program); err != nil {
			absent = append(absent, t.program)
			continue
		}
		installed = append(installed, t.tool)
	}
	return installed, absent
}

// config writes a configuration once and returns its path.
func config(dir, name, text string) (string, error) {
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func mbsync(dir string, from, to side) ([]string, error) {
	store := func(name string, s side) string {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("IMAPAccount %[1]s\nHost %[2]s\nPort %[3]s\nUser %[4]s\nPass %[5]s\nSSLType None\nAuthMechs LOGIN\n\nIMAPStore %[1]s\nAccount %[1]s\n\n",
			name, host, port, s.user, s.password)
	}
	file, err := config(dir, "mbsyncrc", store("near", to)+store("far", from)+
		"Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState "+dir+"/\n")
	return []string{"mbsync", "-c", file, "-a"}, err
}

func interimap(dir string, from, to side) ([]string, error) {
	section := func(name string, s side) string {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("[%s]\ntype = imap\nhost = %s\nport = %s\nSTARTTLS = NO\nauth = LOGIN\nusername = %s\npassword = %s\n\n", name, host, port, s.user, s.password)
	}
	file, err := config(dir, "interimaprc", "database = "+dir+"/interimap.db\n\n"+section("local", to)+section("remote", from))
	return []string{"interimap", "--config=" + file, "--quiet"}, err
}

func imapsync(dir string, from, to side) ([]string, error) {
	h1, p1, err1 := net.SplitHostPort(from.addr)
	h2, p2, err2 := net.SplitHostPort(to.addr)
	return []string{"imapsync", "--host1", h1, "--port1", p1, "--user1", from.user, "--password1", from.password, "--nossl1", "--notls1",
		"--host2", h2, "--port2", p2, "--user2", to.user, "--password2", to.password, "--nossl2", "--notls2", "--nolog", "--tmpdir", dir}, errors.Join(err1, err2)
}

func offlineimap(dir string, from, to side) ([]string, error) {
	section := func(name string, s side, more string) string {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("[Repository %s]\ntype = IMAP\nremotehost = %s\nremoteport = %s\nremoteuser = %s\nremotepass = %s\nssl = no\nstarttls = no\nauth_mechanisms = LOGIN\n%s\n",
			name, host, port, s.user, s.password, more)
	}
	file, err := config(dir, "offlineimaprc", "[general]\naccounts = bench\nmetadata = "+dir+"/offlineimap\nui = quiet\n\n"+
		"[Account bench]\nlocalrepository = near\nremoterepository = far\n\n"+section("near", to, "")+section("far", from, "readonly = True"))
	return []string{"offlineimap", "-c", file, "-o"}, err
}
