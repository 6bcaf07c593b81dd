# SPDX-License-Identifier: Apache-2.0
"""What the two tests of the Java VM run: objects that are made and dropped by several threads, maps, strings, digests,
a file, timers. The VM maps its monitoring file shared, and with ZGC its heap several times."""

from moving import MovingProgram

SOURCE = r'''
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicLong;

public class Mix {
  static long work(int seed, int round) {
    Map<String, long[]> map = new HashMap<>();
    Random random = new Random(seed * 1000003L + round);
    for (int i = 0; i < 20000; i++) {
      String key = "k" + random.nextInt(3000);
      long[] value = map.computeIfAbsent(key, k -> new long[8]);
      value[random.nextInt(8)] += random.nextInt() ^ key.hashCode();
      if (i % 7 == 0) map.remove("k" + random.nextInt(3000));
    }
    long sum = 0;
    for (String key : new TreeSet<>(map.keySet())) for (long v : map.get(key)) sum = sum * 31 + v;
    return sum;
  }

  public static void main(String[] args) throws Exception {
    int rounds = Integer.parseInt(args[0]);
    ExecutorService pool = Executors.newFixedThreadPool(3);
    ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
    AtomicLong ticks = new AtomicLong();
    timer.scheduleAtFixedRate(ticks::incrementAndGet, 1, 5, TimeUnit.MILLISECONDS);
    List<byte[]> kept = new ArrayList<>();
    Path file = Paths.get("rounds");
    for (int round = 0; round < rounds; round++) {
      List<Future<Long>> answers = new ArrayList<>();
      for (int thread = 0; thread < 3; thread++) {
        int seed = thread, r = round;
        answers.add(pool.submit(() -> work(seed, r)));
      }
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Future<Long> answer : answers) digest.update(Long.toString(answer.get()).getBytes());
      kept.add(digest.digest());
      if (kept.size() > 200) kept.subList(0, 100).clear();
      String text = round + " " + HexFormat.of().formatHex(kept.get(kept.size() - 1)).substring(0, 16);
      Files.writeString(file, text + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      if (round % 10 == 0) System.out.println(text);
      if (round % 50 == 49) System.gc();
    }
    pool.shutdown();
    timer.shutdownNow();
    System.out.println("ticked " + (ticks.get() > rounds / 10) + " " + Files.size(file));
    System.exit(9);
  }
}
'''


class JavaProgram(MovingProgram):
    needs = ('java',)
    first_work = 100
    status = 9
    collector = ''  # option of the VM

    def make_input(self, folder, rng):
        (folder / 'Mix.java').write_text(SOURCE, encoding='ascii')

    def command(self, work):
        return ['java', self.collector, 'Mix.java', str(self.work)]
