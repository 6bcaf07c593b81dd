#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ffmpeg makes a film, encodes it by x264 with four threads, and takes it apart again: vector code, frame threads,
queues between threads, and a file that is sought in. The bits must be the same as natively."""

from moving import MovingProgram, main

SOURCE = 'testsrc2=size=480x272:rate=25,noise=alls=12:allf=t:all_seed=7'
SOUND = 'sine=frequency=440:beep_factor=4:sample_rate=44100'


class FfmpegX264(MovingProgram):
    name = 'ffmpeg_x264'
    needs = ('ffmpeg',)
    first_work = 5  # seconds of film

    def command(self, work):
        return ['ffmpeg', '-hide_banner', '-loglevel', 'warning', '-nostdin', '-filter_threads', '2',
                '-f', 'lavfi', '-i', SOURCE, '-f', 'lavfi', '-i', SOUND, '-t', str(self.work),
                '-map', '0:v', '-map', '1:a', '-c:v', 'libx264', '-preset', 'medium', '-threads:v', '4',
                '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '96k', '-flags', '+bitexact', '-fflags', '+bitexact',
                '-movflags', '+faststart', 'film.mp4',
                '-map', '0:v', '-f', 'framemd5', '-t', str(self.work), 'frames.md5']


if __name__ == '__main__':
    main(FfmpegX264)
