// Prints the records of a topic: subscribe HOST:PORT TOPIC [COUNT [OFFSET]].
//
// Starts at the oldest record, or at OFFSET. Goes on after broken connections and restarts, and says what it lost.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "footman.example/footmanv1"
)

func isFinal(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.NotFound, codes.OutOfRange, codes.FailedPrecondition, codes.Unimplemented:
		return true
	}
	return false
}

// A follower's place in a topic.
type follower struct {
	broker pb.BrokerClient
	start  *pb.TopicStart
	place  pb.Resume
}

// Reads one stream to its end: gives each batch's records to `take` until it wants no more, and tells of everything else
// on standard error. Afterwards, `start` is where to go on.
func (f *follower) read(take func([]*pb.Record) bool) (done, alive bool, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request := &pb.SubscribeRequest{Topics: []*pb.TopicStart{f.start}, Label: "go"}
	stream, err := f.broker.Subscribe(ctx, request)
	for err == nil {
		var response *pb.SubscribeResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		alive = true
		switch item := response.Item.(type) {
		case *pb.SubscribeResponse_Started:
			f.place.Epoch, f.place.NextOffset = item.Started.Epoch, item.Started.NextOffset
		case *pb.SubscribeResponse_Batch:
			f.place.NextOffset = item.Batch.BaseOffset + uint64(item.Batch.Count)
			done = !take(item.Batch.Records)
		case *pb.SubscribeResponse_Lost:
			f.place.NextOffset = item.Lost.ToOffset
			fmt.Fprintf(os.Stderr, "lost %d to %d\n", item.Lost.FromOffset, item.Lost.ToOffset-1)
		case *pb.SubscribeResponse_Reset_:
			f.place.Epoch, f.place.NextOffset = item.Reset_.NewEpoch, item.Reset_.NextOffset
			fmt.Fprintf(os.Stderr, "epoch %d: offsets start again\n", f.place.Epoch)
		}
		if f.place.Epoch != 0 {
			f.start.Start = &pb.TopicStart_Resume{Resume: &f.place}
		}
		if done {
			return true, true, nil
		}
	}
	return false, alive, err
}

func run(server string, start *pb.TopicStart, left int) error {
	conn, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	out := bufio.NewWriter(os.Stdout)
	take := func(records []*pb.Record) bool {
		for _, record := range records[:min(left, len(records))] {
			out.Write(record.Value)
			out.WriteByte('\n')
		}
		left -= len(records)
		return out.Flush() == nil && left > 0
	}

	follower := follower{broker: pb.NewBrokerClient(conn), start: start}
	for pause := 50 * time.Millisecond; ; pause = min(pause*2, 2*time.Second) {
		done, alive, err := follower.read(take)
		if done || isFinal(status.Code(err)) {
			return err
		}
		fmt.Fprintf(os.Stderr, "%v; trying again\n", err)
		if alive {
			pause = 50 * time.Millisecond
		}
		time.Sleep(pause/2 + rand.N(pause/2))
	}
}

func main() {
	args := os.Args[1:]
	if len(args) < 2 || len(args) > 4 {
		log.Fatal("usage: subscribe HOST:PORT TOPIC [COUNT [OFFSET]]")
	}
	start := &pb.TopicStart{Topic: args[1], Start: &pb.TopicStart_Earliest{Earliest: true}}
	count := math.MaxInt
	var err error
	if len(args) > 2 {
		if count, err = strconv.Atoi(args[2]); err != nil {
			log.Fatal(err)
		}
	}
	if len(args) > 3 {
		offset, err := strconv.ParseUint(args[3], 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		start.Start = &pb.TopicStart_Offset{Offset: offset}
	}
	if err := run(args[0], start, count); err != nil {
		log.Fatal(err)
	}
}
