//go:build lab

package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrm-plan/xfrm-plan/test/netns/topo"
)

// load is what a busy gateway carries: a ping of each family through every Child SA, and iperf3 through some.
type load struct {
	pings  []*topo.Ping
	iperfs []*iperf
}

// pingEvery is slow enough for a hundred pings at once.
const pingEvery = 2 * time.Second

func startLoad(t *testing.T, tunnels int) *load {
	t.Helper()
	clients(t, tunnels)
	l := new(load)
	for i := range tunnels {
		for _, v6 := range []bool{false, true} {
			p, err := topo.StartPingEvery(client(i, v6).String(), pingEvery)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Stop() })
			l.pings = append(l.pings, p)
		}
	}
	for i, options := range [][]string{{"--bitrate", "300k", "--set-mss", "1200"}, {"--udp", "--bitrate", "200k", "--length", "1000"}} {
		for _, v6 := range []bool{false, true} {
			l.iperfs = append(l.iperfs, startIperf(t, client(2*i, v6).String(), 5200+2*i, options))
		}
	}
	l.flowing(t, "before")
	return l
}

// flowing waits until every Child SA has carried a ping of each family there and back once more, and every iperf has got on.
func (l *load) flowing(t *testing.T, when string) {
	t.Helper()
	had := make([]int, len(l.pings))
	for i, p := range l.pings {
		had[i] = len(p.Replies())
	}
	for i, p := range l.pings {
		if err := topo.Until(time.Minute, func() (bool, error) { return len(p.Replies()) > had[i], nil }); err != nil {
			t.Fatalf("%s: nothing comes back from %s: %v", when, p.To, err)
		}
	}
}

func (l *load) replies() (n int) {
	for _, p := range l.pings {
		n += len(p.Replies())
	}
	return n
}

// iperf is a transfer from the left client to the right one that goes on until it is stopped.
type iperf struct {
	client *exec.Cmd
	report bytes.Buffer
}

func startIperf(t *testing.T, to string, port int, options []string) *iperf {
	t.Helper()
	server := topo.RightLAN.Command("iperf3", "--server", "--one-off", "--bind", to, "--port", fmt.Sprint(port))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	if err := topo.Until(20*time.Second, func() (bool, error) {
		listening, err := topo.RightLAN.Run("ss", "-Hltn", "src", bracketed(to), "and", "sport", "=", fmt.Sprint(port))
		return strings.TrimSpace(listening) != "", err
	}); err != nil {
		t.Fatalf("iperf3 does not listen at %s: %v", to, err)
	}
	f := &iperf{client: topo.LeftLAN.Command(append([]string{"iperf3", "--client", to, "--port", fmt.Sprint(port), "--time", "0", "--json"}, options...)...)}
	f.client.Stdout, f.client.Stderr = &f.report, &f.report
	if err := f.client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.client.Process.Kill() })
	return f
}

func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

// stop ends the transfer and returns how many bytes came through.
func (f *iperf) stop(t *testing.T) int {
	t.Helper()
	f.client.Process.Signal(os.Interrupt)
	f.client.Wait() // it reports an interruption as an error
	var r struct {
		End struct {
			Sent struct{ Bytes int } `json:"sum_sent"`
			Sum  struct{ Bytes int } `json:"sum"`
		}
	}
	if err := json.Unmarshal(f.report.Bytes(), &r); err != nil {
		t.Fatalf("iperf3's report: %v\n%s", err, &f.report)
	}
	return max(r.End.Sent.Bytes, r.End.Sum.Bytes)
}
