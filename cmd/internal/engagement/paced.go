package engagement

import (
	"context"
	"io"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/collect/pace"
)

// Pace bounds what is read and sent.
type Pace struct {
	// BytesPerDay bounds the octets read and, by itself, those sent, of each
	// account on each side and day of UTC. 0: as the provider's limits are
	// known; less than 0: no bound.
	BytesPerDay int64
	// Octets and Messages a second, of all connections to one side together; 0:
	// no bound.
	Octets, Messages float64
}

// budgets are the day's budgets of all logins.
type budgets struct {
	mu   sync.Mutex
	list map[budgetKey]*pace.Budget
	rate [2]*pace.Rate
	once sync.Once
}

type budgetKey struct {
	login
	pace.Direction
}

// daily is what a side of an account may transfer in a day; 0: no bound.
func (e *Engagement) daily(account string, side mailproof.Side, info mailproof.ServerInfo, d pace.Direction) int64 {
	if e.Pace.BytesPerDay != 0 {
		return max(e.Pace.BytesPerDay, 0)
	}
	p := e.Rules.providerOf(account, side, info)
	switch {
	case p == nil:
		return 0
	case d == pace.Up:
		return p.Limits.UploadPerDay
	}
	return p.Limits.DownloadPerDay
}

func (e *Engagement) budget(account string, side mailproof.Side, info mailproof.ServerInfo, d pace.Direction) *pace.Budget {
	e.budgets.mu.Lock()
	defer e.budgets.mu.Unlock()
	key := budgetKey{login{account, side}, d}
	b := e.budgets.list[key]
	if b == nil {
		b = &pace.Budget{What: side.String() + " " + account, Direction: d, Limit: e.daily(account, side, info, d), Book: book{e.ledger, key.login}, Now: e.now}
		if e.budgets.list == nil {
			e.budgets.list = map[budgetKey]*pace.Budget{}
		}
		e.budgets.list[key] = b
	}
	return b
}

// rate is what all connections to one side share.
func (e *Engagement) rate(side mailproof.Side) *pace.Rate {
	e.budgets.once.Do(func() {
		for i := range e.budgets.rate {
			e.budgets.rate[i] = pace.NewRate(e.Pace.Octets, e.Pace.Messages)
		}
	})
	return e.budgets.rate[side-1]
}

// book lends the ledger to a budget.
type book struct {
	ledger *ledger.Ledger
	login
}

func (b book) Used(ctx context.Context, day time.Time, d pace.Direction) (int64, error) {
	t, err := b.ledger.TrafficOf(ctx, b.account, b.side, day)
	if d == pace.Up {
		return t.Sent, err
	}
	return t.Read, err
}

func (b book) Note(ctx context.Context, day time.Time, d pace.Direction, octets int64) error {
	t := ledger.Traffic{Day: day, Account: b.account, Side: b.side, Read: octets}
	if d == pace.Up {
		t.Read, t.Sent = 0, octets
	}
	return b.ledger.NoteTraffic(ctx, t)
}

// note keeps what passed, also when the work is being cancelled: it has passed.
func note(ctx context.Context, b *pace.Budget, taken, passed int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return b.Settle(ctx, taken, passed)
}

// pacedReader is a Reader within the day's budget. What the budget has no room
// for is not asked of the server.
type pacedReader struct {
	*imapconn.Reader
	conn     *conn
	down, up *pace.Budget
	rate     *pace.Rate
}

// pacedReader wraps a reader. done notes what passed beside the bodies.
func (e *Engagement) pacedReader(ctx context.Context, a Account, side mailproof.Side, c *conn, done func()) (*pacedReader, func()) {
	info := c.reader.Server()
	p := &pacedReader{Reader: c.reader, conn: c, rate: e.rate(side), down: e.budget(a.Name, side, info, pace.Down), up: e.budget(a.Name, side, info, pace.Up)}
	return p, func() {
		if err := p.settle(ctx, 0); err != nil {
			e.say("the day's traffic of %s could not be noted: %v", a.Name, err)
		}
		done()
	}
}

// settle notes what passed since it was called last.
func (p *pacedReader) settle(ctx context.Context, taken int64) error {
	read, written := p.Traffic()
	err := note(ctx, p.down, taken, read-p.conn.read)
	if err == nil && written > p.conn.written {
		err = note(ctx, p.up, 0, written-p.conn.written)
	}
	p.conn.read, p.conn.written = read, written
	return err
}

// budgetChunk bounds what is asked for between two looks at the budget, and with
// it what a process that is killed leaves unnoted.
const budgetChunk = 32 << 20

// headerOctets is what a header is taken for before it was read.
const headerOctets = 4 << 10

type bodyReader = func(uid mailproof.UID, size int64, body io.Reader) error

// Bodies is [imapconn.Reader.Bodies] for as many messages as the day has room
// for; where that is not all of them, its error is a [*pace.ExhaustedError].
func (p *pacedReader) Bodies(ctx context.Context, want []mailproof.Metadata, read bodyReader) (map[mailproof.UID]string, error) {
	return p.within(ctx, want, func(m *mailproof.Metadata) int64 { return max(m.Size, 0) }, p.Reader.Bodies, read)
}

// Headers is as Bodies, of headers.
func (p *pacedReader) Headers(ctx context.Context, want []mailproof.Metadata, read bodyReader) (map[mailproof.UID]string, error) {
	return p.within(ctx, want, func(*mailproof.Metadata) int64 { return headerOctets }, p.Reader.Headers, read)
}

func (p *pacedReader) within(ctx context.Context, want []mailproof.Metadata, sizeOf func(*mailproof.Metadata) int64,
	fetch func(context.Context, []mailproof.Metadata, bodyReader) (map[mailproof.UID]string, error), read bodyReader) (map[mailproof.UID]string, error) {
	paced := func(uid mailproof.UID, size int64, body io.Reader) error {
		if err := p.rate.Messages(ctx, 1); err != nil {
			return err
		}
		return read(uid, size, body)
	}
	if p.down.Limit <= 0 {
		return fetch(ctx, want, paced)
	}
	unread := map[mailproof.UID]string{}
	for len(want) > 0 {
		var sizes []int64
		for i, sum := 0, int64(0); i < len(want) && (i == 0 || sum < budgetChunk); i++ {
			sizes = append(sizes, sizeOf(&want[i]))
			sum += sizes[i]
		}
		n, taken, exhausted := p.down.Take(ctx, sizes)
		var some map[mailproof.UID]string
		var err error
		if n > 0 {
			some, err = fetch(ctx, want[:n], paced)
			maps.Copy(unread, some)
		}
		if serr := p.settle(ctx, taken); err == nil {
			err = serr
		}
		if err == nil {
			err = exhausted
		}
		if err != nil {
			return unread, err
		}
		want = want[n:]
	}
	return unread, nil
}

// sendLimiter keeps what is sent within rate and budget.
type sendLimiter struct {
	rate *pace.Rate
	up   *pace.Budget
}

// Wait implements [transfer.Limiter].
func (l sendLimiter) Wait(ctx context.Context, messages int, octets int64) error {
	n, taken, err := l.up.Take(ctx, []int64{octets})
	if n == 0 {
		return err
	}
	if err := note(ctx, l.up, taken, taken); err != nil {
		return err
	}
	return l.rate.Messages(ctx, messages)
}

// countWriter notes what passed beside the messages that a limiter let go.
func (e *Engagement) countWriter(a Account, c *conn, done func()) func() {
	down := e.budget(a.Name, mailproof.Destination, c.writer.Server(), pace.Down)
	return func() {
		read, written := c.writer.Traffic()
		if err := note(context.Background(), down, 0, read-c.read); err != nil {
			e.say("the day's traffic of %s could not be noted: %v", a.Name, err)
		}
		c.read, c.written = read, written
		done()
	}
}

// dialPaced makes connections whose octets pass no faster than the rate of
// their side allows; nil where there is none.
func (e *Engagement) dialPaced(side mailproof.Side) func(ctx context.Context, network, address string) (net.Conn, error) {
	if e.Pace.Octets <= 0 {
		return nil
	}
	rate := e.rate(side)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		life, end := context.WithCancel(context.Background())
		return &pacedConn{Conn: c, rate: rate, life: life, end: end, most: max(int(e.Pace.Octets/8), 512)}, nil
	}
}

// pacedConn is a connection whose octets are metered. What it reads at once is
// bounded, so that a low rate shows as an even flow and not as silence.
type pacedConn struct {
	net.Conn
	rate *pace.Rate
	life context.Context // ends with the connection
	end  context.CancelFunc
	most int
}

func (c *pacedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), c.most)])
	if n > 0 {
		if waited := c.rate.Octets(c.life, n); waited != nil && err == nil {
			err = net.ErrClosed
		}
	}
	return n, err
}

func (c *pacedConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), c.most)]
		if c.rate.Octets(c.life, len(piece)) != nil {
			return n, net.ErrClosed
		}
		var m int
		m, err = c.Conn.Write(piece)
		n, p = n+m, p[m:]
	}
	return n, err
}

func (c *pacedConn) Close() error {
	c.end()
	return c.Conn.Close()
}

// limits adds the day's limit to a tick.
func (p *pacedReader) limits(ctx context.Context, t mailproof.Tick) mailproof.Tick {
	// An error of the ledger shows where the budget is asked for leave.
	if left, ok, err := p.down.Left(ctx); ok && err == nil {
		t.PerDay, t.LeftToday = p.down.Limit, left
	}
	return t
}

// copyLimits is the tick with the limit of the day that a copy is bound by: that
// of the source or that of the destination, whichever is the lower.
func (e *Engagement) copyLimits(ctx context.Context, account string, src *pacedReader, dst *imapconn.Writer) mailproof.Tick {
	t := src.limits(ctx, mailproof.Tick{Kind: mailproof.CopyPass, Account: account})
	up := e.budget(account, mailproof.Destination, dst.Server(), pace.Up)
	if left, ok, err := up.Left(ctx); ok && err == nil && (t.PerDay == 0 || up.Limit < t.PerDay) {
		t.PerDay, t.LeftToday = up.Limit, left
	}
	return t
}
