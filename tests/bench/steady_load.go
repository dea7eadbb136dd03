// Sends requests at a constant rate, whatever the responses do.
//
// A request that finds a connection idle counts from when it is sent, so the
// imprecision of this program's timers is not held against the server. One that
// has to wait for a connection counts from when it was due, so a server that
// stalls cannot slow the load down with it (no coordinated omission).
//
// It is in Go because it has to leave most of its core to the upstream.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var (
	address     = flag.String("address", "", "host:port of the server")
	file        = flag.String("requests", "", "a JSON list of whole requests, sent in turn")
	rate        = flag.Float64("rate", 1000, "requests a second")
	seconds     = flag.Float64("seconds", 10, "for how long")
	connections = flag.Int("connections", 32, "how many")
)

// Load is what all connections share.
type Load struct {
	requests [][]byte
	start    time.Time
	taken    int64
	total    int64
}

// next returns the next request and when it is due; false once all are taken.
func (load *Load) next() ([]byte, time.Time, bool) {
	number := atomic.AddInt64(&load.taken, 1) - 1
	due := time.Duration(float64(number) / *rate * float64(time.Second))
	request := load.requests[number%int64(len(load.requests))]
	return request, load.start.Add(due), number < load.total
}

// run sends requests over one connection until all are taken, and returns
// latencies in milliseconds and how many responses were not 2xx.
func (load *Load) run(conn net.Conn) (latencies []float64, failed int) {
	reader := bufio.NewReader(conn)
	latencies = make([]float64, 0, load.total)
	for {
		request, since, more := load.next()
		if !more {
			return latencies, failed
		}
		if early := time.Until(since); early > 0 {
			time.Sleep(early)
			since = time.Now()
		}
		if _, err := conn.Write(request); err != nil {
			log.Fatal(err)
		}
		isGood, err := skipResponse(reader)
		if err != nil {
			log.Fatal(err)
		}
		if !isGood {
			failed++
		}
		latencies = append(latencies, time.Since(since).Seconds()*1000)
	}
}

// skipResponse reads one response with a Content-Length, and says whether it is
// a 2xx. It allocates nothing, so that no collector of garbage holds requests up.
func skipResponse(reader *bufio.Reader) (isGood bool, err error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	isGood = bytes.HasPrefix(line, []byte("HTTP/1.1 2"))
	length := 0
	for len(line) > len("\r\n") {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return false, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return false, err
			}
		}
	}
	_, err = reader.Discard(length)
	return isGood, err
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	var lines []string
	if err := json.Unmarshal(text, &lines); err != nil {
		log.Fatal(err)
	}
	load := &Load{total: int64(*rate * *seconds)}
	for _, each := range lines {
		load.requests = append(load.requests, []byte(each))
	}
	open := make([]net.Conn, *connections)
	for number := range open {
		if open[number], err = net.Dial("tcp", *address); err != nil {
			log.Fatal(err)
		}
	}
	load.start = time.Now()
	var (
		all    []float64
		failed int
		lock   sync.Mutex
		wait   sync.WaitGroup
	)
	for _, conn := range open {
		wait.Add(1)
		go func(conn net.Conn) {
			defer wait.Done()
			latencies, bad := load.run(conn)
			lock.Lock()
			all, failed = append(all, latencies...), failed+bad
			lock.Unlock()
		}(conn)
	}
	wait.Wait()
	sort.Float64s(all)
	at := func(part float64) float64 { return all[int(part*float64(len(all)-1))] }
	fmt.Printf(`{"sent": %d, "failed": %d, "p50": %.3f, "p90": %.3f, "p99": %.3f, "p99.9": %.3f, "max": %.3f}`+"\n",
		len(all), failed, at(0.5), at(0.9), at(0.99), at(0.999), at(1))
}
