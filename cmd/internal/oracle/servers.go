package oracle

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// Password opens every account of the test servers.
const Password = "pw"

// Real returns the login of a user on a real test server, "DOVECOT",
// "DOVECOT2", "CYRUS" or "COURIER", in plaintext. Where the server is not
// there, it skips the test, or fails it under continuous integration.
func Real(t testing.TB, server, user string) Login {
	t.Helper()
	return Login{Addr: variable(t, "MAILPROOF_"+server), User: user, Password: Password}
}

// RealTLS is Real with TLS.
func RealTLS(t testing.TB, server, user string) Login {
	t.Helper()
	pem, err := os.ReadFile(variable(t, "MAILPROOF_TEST_CA"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("MAILPROOF_TEST_CA names no certificate")
	}
	return Login{
		Addr: variable(t, "MAILPROOF_"+server+"_TLS"), User: user, Password: Password,
		TLS: &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}
}

func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		complain := t.Skipf
		if os.Getenv("CI") != "" {
			complain = t.Fatalf
		}
		complain("%s is not set: make test starts the servers; by hand: eval \"$(testdata/servers/servers.sh env)\"", name)
	}
	return value
}

var users atomic.Int64

// NewUser returns a user name that no test had before: the test servers keep
// their mail from run to run.
func NewUser() string {
	return fmt.Sprintf("u%x-%d", time.Now().UnixNano(), users.Add(1))
}
