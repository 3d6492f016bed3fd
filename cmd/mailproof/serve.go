package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/meeting"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "a read-only page for the sign-off meeting",
		Long: `serve shows the engagement as it stands to a browser on this machine: the verdict,
the runbook, the exceptions with their decisions, the report, and how far a pass
is that runs meanwhile in another window. The pages refresh themselves.

It writes nothing and asks no mail server. The address that it prints works once,
in one browser; nobody else gets in. Ctrl-C ends it.

--listen chooses another address than the loopback. The page has no TLS: on a
network whoever listens reads along.`,
		Example: `  mailproof serve --dir northgate
  mailproof serve --listen 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			o, err := a.options(cmd, &workFlags{}, cfg)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.serve(ctx, cfg, o, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "`IP:PORT` to listen on; port 0 is any free one")
	return cmd
}

func (a *app) serve(ctx context.Context, cfg *config.Config, o engagement.Options, listen string) (err error) {
	e, err := engagement.OpenReadOnly(ctx, a.dir, cfg, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return hinted{fmt.Errorf("--listen %s: %w", listen, err), "write --listen 127.0.0.1:8080, or leave it out for any free port"}
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsUnspecified() {
		// The page answers to the name that it listens under and to no other.
		return errors.Join(hinted{fmt.Errorf("--listen %s: it names no address that a browser could ask for", listen),
			fmt.Sprintf("write the address that the others reach this machine at: --listen 192.0.2.7:%d", addr.Port)}, l.Close())
	}
	s, path, err := meeting.New(meetingSource{ctx, e}, l.Addr().String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if ok && !addr.IP.IsLoopback() {
		a.warnf("%s is no loopback address: the page goes over the network without TLS", addr.IP)
	}
	fmt.Fprintf(a.out, "http://%s%s\n", l.Addr(), path)
	a.notef("the address works once, in one browser; Ctrl-C ends the page")
	return s.Serve(ctx, l)
}

// meetingSource reads the engagement for the page.
type meetingSource struct {
	whole context.Context // of the command: a document reads its messages when it is written, after the request that made it
	e     *engagement.Engagement
}

func (m meetingSource) Version(ctx context.Context) (string, error) { return m.e.Version(ctx) }

func (m meetingSource) Snapshot(ctx context.Context) (*meeting.Snapshot, error) {
	c, err := m.e.Compare(ctx, nil)
	if err != nil {
		return nil, err
	}
	d, err := m.e.Document(m.whole, c)
	if err != nil {
		return nil, err
	}
	r, err := m.e.Runbook(ctx, c)
	if err != nil {
		return nil, err
	}
	return &meeting.Snapshot{Taken: time.Now(), Document: d, Runbook: r}, nil
}

func (m meetingSource) Progress(ctx context.Context) (meeting.Progress, error) {
	live, err := m.e.Live(ctx)
	if err != nil {
		return meeting.Progress{}, err
	}
	return meeting.Progress{Pass: live.Pass, Running: live.Running(), Text: liveText(&live)}, nil
}
